"""Converts JSON to frozen dataclasses and back, strictly: every field is required, every unknown key refused."""

import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_hints = cache(get_type_hints)


class SchemaError(ValueError):
    """The data does not match the dataclass; the message names the place and the value."""


def read(kind: type[T], data: object, place: str = "") -> T:
    """Return `data` (parsed JSON) as the dataclass `kind`.

    Raises SchemaError for a missing field, an unknown key or a value of the wrong type.
    """
    value: T = _read(kind, data, place)
    return value


def write(value: Any) -> dict[str, Any]:
    """Return a dataclass as plain JSON data."""
    data: dict[str, Any] = asdict(value)
    return data


def _read(kind: Any, data: object, place: str) -> Any:
    if is_dataclass(kind):
        return _read_dataclass(kind, data, place)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (types.UnionType, Union):
        if type(data) in arguments:
            return data
        return _read(next(a for a in arguments if a is not type(None)), data, place)
    if origin is Literal:
        if data not in arguments:
            raise SchemaError(f"{_at(place)} should be {' or '.join(map(repr, arguments))}, not {data!r:.60}")
        return data
    if origin is tuple:
        items = _expect(list, data, place)
        return tuple(_read(arguments[0], item, f"{place}[{i}]") for i, item in enumerate(items))
    if origin is dict:
        entries = _expect(dict, data, place)
        return {key: _read(arguments[1], item, f"{place}.{key}") for key, item in entries.items()}
    if kind is float and type(data) is int:
        return float(data)
    return _expect(kind, data, place)


def _read_dataclass(kind: Any, data: object, place: str) -> Any:
    entries: Mapping[str, object] = _expect(dict, data, place)
    names = [field.name for field in fields(kind)]
    if unknown := sorted(set(entries) - set(names)):
        raise SchemaError(f"{_at(place)} has the unknown key {unknown[0]!r}")
    if missing := [name for name in names if name not in entries]:
        raise SchemaError(f"{_at(place)} lacks the key {missing[0]!r}")
    hints = _hints(kind)
    return kind(**{n: _read(hints[n], entries[n], f"{place}.{n}".lstrip(".")) for n in names})


def _expect(kind: type, data: object, place: str) -> Any:
    # bool is an int in Python, but not in JSON.
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise SchemaError(f"{_at(place)} should be {kind.__name__}, not {type(data).__name__} {data!r:.60}")
    return data


def _at(place: str) -> str:
    return place or "the top level"
