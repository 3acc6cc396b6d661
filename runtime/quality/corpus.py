"""Reads documents, and queries with their relevant documents, from JSON Lines or one JSON array."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from onnxrank.errors import InputError
from onnxrank.quality.text_file import TextFile, decoded, json_array, json_value, numbered_lines, opened
from onnxrank.text.documents import Document, fill, slots_of

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How an object with fields becomes a text: by `template`, a text with {slots} for fields, if there is one; else it
    is the field `text_field`; else, if it lacks that field, by `own_template`, the artifact's.
    """

    template: str | None = None
    text_field: str | None = None
    own_template: str | None = None


def read_corpus(
    source: Path | TextFile, *, skip_bad: bool = False, layout: Layout | None = None
) -> tuple[list[Entry], int]:
    """Return the documents of a file, and how many lines were skipped.

    A line is {"text": ...} or {"name": ..., "description": ...}, optionally with "id" (by default the line number) and
    "cluster"; a bare string is a text. With `layout`, documents with fields become texts.
    Raises InputError naming the first line that cannot be read or repeats an id; with `skip_bad` such lines are left
    out.
    """
    seen: set[str] = set()

    def entry(data: Any, number: int) -> Entry:
        if isinstance(data, str):
            document: str | dict[str, str] = data
            data = {}
        elif isinstance(data, dict):
            document = _document(data) if layout is None else text_of(data, layout)
        else:
            raise ValueError(f"is {type(data).__name__}, not an object")
        given = data.get("id", number)
        if not _is_id(given):
            raise ValueError(f"has the id {given!r:.60}, which is neither a string nor an integer")
        id_ = str(given)
        if id_ in seen:
            raise ValueError(f"has the id {id_!r:.60} of an earlier line")
        check_characters(id_, *(document.values() if isinstance(document, dict) else [document]))
        found = Entry(id=id_, document=document, cluster=_optional_text(data, "cluster"))
        seen.add(id_)
        return found

    return read_items(source, entry, skip_bad)


def read_queries(source: Path | TextFile, *, skip_bad: bool = False) -> tuple[list[Query], int]:
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
        check_characters(data["query"], *map(str, ids))
        return Query(text=data["query"], relevant=tuple(map(str, ids)))

    return read_items(source, query, skip_bad)


def read_plain(source: Path | TextFile, *, skip_bad: bool = False) -> tuple[list[str], int]:
    """Return the lines of a file that are not blank, and how many were skipped. Raises InputError as `read_corpus`."""
    file = opened(source)
    found: list[str] = []
    skipped = 0
    for number, line in numbered_lines(file.content):
        try:
            found.append(decoded(line).rstrip("\r"))
        except ValueError as error:
            if not skip_bad:
                raise _bad(file.name, f"line {number}", error) from error
            skipped += 1
    return found, skipped


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _document(data: dict[str, Any]) -> str | dict[str, str]:
    if isinstance(data.get("text"), str):
        return str(data["text"])
    fields = _fields(data)
    if not fields:
        raise ValueError("has no `text` that is a string")
    return fields


def text_of(data: dict[str, Any], layout: Layout) -> str:
    """Return the text of an object with fields. Raises ValueError if it lacks the field, or a field of the template."""
    fields = _fields(data)
    name = layout.text_field or "text"
    if layout.template is None and isinstance(data.get(name), str):
        return str(data[name])
    template = layout.template or (layout.own_template if layout.text_field is None else None)
    if template is None:
        others = f"; it has {', '.join(fields)}: name one with --text-field, or join them with --document-template"
        raise ValueError(f"has no `{name}` that is a string{others if fields else ''}")
    for slot in slots_of(template):
        if slot not in fields:
            raise ValueError(f"has no `{slot}` that is a string, and documents are read as {template!r}")
    return fill(template, fields)


def _fields(data: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in data.items() if isinstance(value, str) and name not in ("id", "cluster")}


def _optional_text(data: dict[str, Any], name: str) -> str | None:
    return None if data.get(name) is None else str(data[name])


def check_characters(*texts: str) -> None:
    """Raise ValueError for a lone surrogate, which JSON can write but no file or tokenizer can hold."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"holds {text[error.start]!r}, which is no character") from error


def read_items(source: Path | TextFile, parse: Callable[[Any, int], T], skip_bad: bool) -> tuple[list[T], int]:
    """Return what `parse` makes of each line's JSON value and number, and how many lines it refused with a ValueError.

    Raises InputError as `read_corpus` does.
    """
    file = opened(source)
    array = json_array(file.content)
    found: list[T] = []
    skipped = 0
    for number, item in numbered_lines(file.content) if array is None else enumerate(array, 1):
        try:
            found.append(parse(json_value(item) if array is None else item, number))
        except ValueError as error:
            if not skip_bad:
                raise _bad(file.name, f"{'line' if array is None else 'item'} {number}", error) from error
            skipped += 1
    if not found:
        raise InputError(f"{file.name} holds nothing that can be read; give JSON Lines or a JSON array.")
    return found, skipped


def _bad(name: str, place: str, problem: ValueError) -> InputError:
    return InputError(f"{name}, {place} {problem}; correct it, or keep the other lines with --skip-bad.")
