"""Converts JSON to frozen dataclasses and back, strictly: every field is required, every unknown key refused."""

import json
import types
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache, partial
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

# The largest number.
FLOAT32 = (2 - 2**-23) * 2.0**127

_hints = cache(partial(get_type_hints, include_extras=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What a number in a field `Annotated[int, Range(...)]` may be, both ends included."""

    least: int
    most: int


class SchemaError(ValueError):
    """The data does not match the dataclass; the message names the place and the value."""


def parse(text: str) -> Any:
    """Return parsed JSON. Raises ValueError if it is not JSON, or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error


def read(kind: type[T], data: object, place: str = "") -> T:
    """Return `data` (parsed JSON) as the dataclass `kind`.

    Raises SchemaError for a missing field, an unknown key, a value of the wrong type or out of its range, a number that
    is not finite, or a text that cannot be encoded.
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
    if origin is Annotated:
        return _within(arguments[1], _read(arguments[0], data, place), place)
    if origin in (types.UnionType, Union):
        if type(data) in arguments:
            return _expect(type(data), data, place)
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
        return {_expect(str, k, place): _read(arguments[1], v, f"{place}.{k}") for k, v in entries.items()}
    if kind is float:
        return _number(data, place)
    return _expect(kind, data, place)


def _within(bounds: Range, value: int, place: str) -> int:
    if not bounds.least <= value <= bounds.most:
        raise SchemaError(f"{_at(place)} should be from {bounds.least} to {bounds.most}, not {value!r:.60}")
    return value


def _number(data: object, place: str) -> float:
    # JSON does not distinguish 1 and 1.0; Python reads NaN, Infinity and any integer. Scores are computed in float32.
    number = _expect(float if isinstance(data, float) else int, data, place)
    if not -FLOAT32 <= number <= FLOAT32:
        raise SchemaError(f"{_at(place)} should be a number of float32, not {number!r:.60}")
    return float(number)


def _read_dataclass(kind: Any, data: object, place: str) -> Any:
    entries: Mapping[str, object] = _expect(dict, data, place)
    names = [field.name for field in fields(kind)]
    if unknown := sorted(set(entries) - set(names)):
        raise SchemaError(f"{_at(place)} has the unknown key {unknown[0]!r:.60}")
    if missing := [name for name in names if name not in entries]:
        raise SchemaError(f"{_at(place)} lacks the key {missing[0]!r}")
    hints = _hints(kind)
    return kind(**{n: _read(hints[n], entries[n], f"{place}.{n}".lstrip(".")) for n in names})


def _expect(kind: type, data: object, place: str) -> Any:
    # bool is an int in Python, but not in JSON.
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise SchemaError(f"{_at(place)} should be {kind.__name__}, not {type(data).__name__} {data!r:.60}")
    if isinstance(data, str) and not data.isascii():
        try:
            data.encode()
        except UnicodeEncodeError as error:
            raise SchemaError(f"{_at(place)} holds {data[error.start]!r}, which is no character") from error
    return data


def _at(place: str) -> str:
    # Keys of the file are part of it.
    shown = place if place.isprintable() else repr(place)
    return f"{shown:.200}" or "the top level"
