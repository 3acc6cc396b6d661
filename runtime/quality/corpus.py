"""Reads JSON Lines files of documents, and of queries with their relevant documents."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from onnxrank.artifact.schema import parse
from onnxrank.errors import InputError, one_line
from onnxrank.text.documents import Document

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A document of a corpus. `cluster` names a group of documents that answer the same need, if any."""

    id: str
    document: Document
    cluster: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query and the ids of the documents that answer it."""

    text: str
    relevant: tuple[str, ...]


def read_corpus(path: Path, *, skip_bad: bool = False) -> tuple[list[Entry], int]:
    """Return the documents of a file, and how many lines were skipped.

    A line is {"text": ...} or {"name": ..., "description": ...}, optionally with "id" (by default the line number) and
    "cluster"; a bare string is a text.
    Raises InputError naming the first line that cannot be read or repeats an id; with `skip_bad` such lines are left
    out.
    """
    seen: set[str] = set()

    def entry(data: Any, number: int) -> Entry:
        if isinstance(data, str):
            data = {"text": data}
        if not isinstance(data, dict):
            raise ValueError(f"is {type(data).__name__}, not an object")
        given = data.get("id", number)
        if not _is_id(given):
            raise ValueError(f"has the id {given!r:.60}, which is neither a string nor an integer")
        id_ = str(given)
        if id_ in seen:
            raise ValueError(f"has the id {id_!r:.60} of an earlier line")
        found = Entry(id=id_, document=_document(data), cluster=_optional_text(data, "cluster"))
        seen.add(id_)
        return found

    return _read(path, entry, skip_bad)


def read_queries(path: Path, *, skip_bad: bool = False) -> tuple[list[Query], int]:
    """Return the queries of a file, and how many lines were skipped.

    A line is {"query": ..., "relevant": id or list of ids}. Raises InputError as `read_corpus` does.
    """

    def query(data: Any, number: int) -> Query:
        if not isinstance(data, dict) or not isinstance(data.get("query"), str):
            raise ValueError("has no `query` that is a string")
        relevant = data.get("relevant")
        ids = relevant if isinstance(relevant, list) else [relevant]
        if not ids or not all(map(_is_id, ids)):
            raise ValueError("has no `relevant`, the id of a document or a list of them")
        return Query(text=data["query"], relevant=tuple(map(str, ids)))

    return _read(path, query, skip_bad)


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _document(data: dict[str, Any]) -> Document:
    if isinstance(data.get("text"), str):
        return str(data["text"])
    fields = {name: value for name, value in data.items() if isinstance(value, str) and name not in ("id", "cluster")}
    if not fields:
        raise ValueError("has no `text` that is a string")
    return fields


def _optional_text(data: dict[str, Any], name: str) -> str | None:
    return None if data.get(name) is None else str(data[name])


def _read(path: Path, entry: Callable[[Any, int], T], skip_bad: bool) -> tuple[list[T], int]:
    found: list[T] = []
    skipped = 0
    for number, line in _lines(path):
        try:
            found.append(entry(parse(line), number))
        except ValueError as error:
            if not skip_bad:
                problem = f"is no JSON ({one_line(error)})" if isinstance(error, json.JSONDecodeError) else str(error)
                raise InputError(
                    f"{path}, line {number} {problem}; correct it, or keep the other lines with --skip-bad."
                ) from error
            skipped += 1
    if not found:
        raise InputError(f"{path} holds nothing that can be read; give JSON Lines.")
    return found, skipped


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        # Not splitlines: JSON strings may contain other line separators.
        lines: Sequence[str] = path.read_text(encoding="utf-8", errors="strict").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}); give a UTF-8 text file.") from error
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())
