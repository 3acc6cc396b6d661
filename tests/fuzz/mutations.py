"""Hypothesis strategies that damage JSON data and files."""

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

Place = tuple[str | int, ...]

NUMBERS = [0, 1, -1, 2, 3, 0.5, -0.0, 1e-320, 1e308, -1e308, math.nan, math.inf, -math.inf, 2**31, 2**53 + 1, -(2**63),
           2**63, 2**64, 10**12, 10**400]  # fmt: skip
TEXTS = ["", " ", "a", "0", "-1", "true", "null", "é", "\x00", "\n", "a\nb\r\u2028c", "\ud800", "\U0010ffff", "{", "{}",
         "{query}", "{document}{document}", "{text}{text}", "..", "../../etc/passwd", "/etc/passwd", "C:\\x", "a/../b",
         "%s%n", "x" * 20_000]  # fmt: skip
OTHERS: list[Any] = [None, True, False, [], {}, [[]], [None], [0] * 5000, {"a": None}, {"": {"": {}}}]
VALUES = st.one_of(
    st.sampled_from([*NUMBERS, *TEXTS, *OTHERS]),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
)

# Of long lists and mappings, such as vocabularies, only so many entries are damaged.
ENTRIES = 12


def places(data: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the places of all values in JSON data."""
    yield place
    if isinstance(data, dict):
        for key in list(data)[:ENTRIES] if len(data) > 50 else data:
            yield from places(data[key], (*place, key))
    elif isinstance(data, list):
        for i in range(min(len(data), 3)):
            yield from places(data[i], (*place, i))


def damaged(data: Any) -> st.SearchStrategy[bytes]:
    """Return files like the JSON file of `data` in which up to three values are damaged, or bytes are."""
    listed = list(places(data))
    change = st.tuples(st.sampled_from(listed), st.one_of(_REPLACED, _CHANGED, _ALIKE, _ALIKE))
    values = st.lists(change, min_size=1, max_size=3).map(lambda changes: _encoded(_apply(data, changes)))
    return st.integers(0, 5).flatmap(lambda n: values if n else damaged_bytes(_encoded(data)))


def damaged_bytes(content: bytes) -> st.SearchStrategy[bytes]:
    """Return files like this one: cut short, with other bytes, with a part twice, or something else altogether."""
    at = st.integers(0, len(content))
    return st.one_of(
        at.map(lambda i: content[:i]),
        st.tuples(at, st.binary(min_size=1, max_size=8)).map(lambda t: content[: t[0]] + t[1] + content[t[0] :]),
        st.tuples(at, st.binary(min_size=1, max_size=8)).map(
            lambda t: content[: t[0]] + t[1] + content[t[0] + len(t[1]) :]
        ),
        st.tuples(at, at).map(lambda t: content[: t[0]] + content[t[1] :]),
        st.sampled_from(STRANGE),
        st.sampled_from(BETWEEN).flatmap(lambda b: at.map(lambda i: content[:i] + b + content[i:])),
    )


STRANGE = [
    b"", b"\x00", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"null", b"[]", b"{}", b"0", b'""', b"NaN", b"[" * 20_000,
    b'{"a":' * 20_000, b"[" * 20_000 + b"]" * 20_000, b"9" * 5000, b"[1e999999]", b'{"a":1,"a":2}', b'"\\ud800"',
]  # fmt: skip
BETWEEN = [b"9" * 5000, b"[" * 20_000, b'"', b"\n\n", b"\xff", b",", b"NaN"]


def _replaced(new: Any) -> Callable[[Any, str | int], None]:
    return lambda parent, key: parent.__setitem__(key, copy.deepcopy(new))


_REPLACED = VALUES.map(_replaced)


def _remove(parent: Any, key: str | int) -> None:
    del parent[key]


def _rename(parent: Any, key: str | int) -> None:
    if isinstance(parent, dict):
        parent[f"{key}s"] = parent.pop(key)


def _wrap(parent: Any, key: str | int) -> None:
    parent[key] = [parent[key]]


def _empty(parent: Any, key: str | int) -> None:
    parent[key] = type(parent[key])() if parent[key] is not None else None


def _nudge(by: int) -> Callable[[Any, str | int], None]:
    def change(parent: Any, key: str | int) -> None:
        value = parent[key]
        if isinstance(value, int | float):
            parent[key] = value + by if abs(by) < 3 else value * by
        elif isinstance(value, str | list):
            parent[key] = value * 2 if by > 0 else value[:-1]

    return change


def _alike(number: int, real: float, text: str) -> Callable[[Any, str | int], None]:
    def change(parent: Any, key: str | int) -> None:
        new = {bool: number % 2 == 0, int: number, float: real, str: text, list: [number] * 3, dict: {text: number}}
        if type(parent[key]) in new:
            parent[key] = new[type(parent[key])]

    return change


# A value of the same type, which a check of types does not find.
_ALIKE = st.builds(
    _alike,
    st.sampled_from([n for n in NUMBERS if isinstance(n, int)]) | st.integers(-5, 300),
    st.sampled_from([n for n in NUMBERS if isinstance(n, float)]) | st.floats(),
    st.sampled_from(TEXTS) | st.text(max_size=20),
)
_CHANGED = st.sampled_from([_remove, _rename, _wrap, _empty, *(_nudge(by) for by in (1, -1, 1000, -1000))])


def _apply(data: Any, changes: list[tuple[Place, Callable[[Any, str | int], None]]]) -> Any:
    holder = {"": copy.deepcopy(data)}
    for place, change in changes:
        parent: Any = holder
        path = ("", *place)
        try:
            for key in path[:-1]:
                parent = parent[key]
            change(parent, path[-1])
        except (KeyError, IndexError, TypeError, AttributeError, OverflowError):
            continue  # an earlier change took the place away
    return holder.get("")


def _encoded(data: Any) -> bytes:
    return json.dumps(data).encode()
