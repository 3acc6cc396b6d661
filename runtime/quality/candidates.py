"""Reads queries with the documents to rank for each, with labels or without, from JSON Lines or one JSON array."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxrank.quality.corpus import Layout, check_characters, read_items, text_of
from onnxrank.quality.text_file import TextFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """A query and the documents to rank. relevance: each document's grade, 0 for not relevant; None without labels.
    instruction: None for the model's default."""

    query: str
    instruction: str | None
    documents: tuple[str, ...]
    relevance: tuple[int, ...] | None


def read_candidates(source: Path | TextFile, *, layout: Layout, skip_bad: bool = False) -> tuple[list[Candidates], int]:
    """Return the queries of a file with their documents, and how many lines were skipped.

    A line is {"query": ..., "documents": [...]} or {"query": ..., "document": ...}, optionally with "relevance", a list
    of whole numbers or one, and "instruction". Lines with the same query and instruction are joined; they have labels
    if all have. With `layout`, documents with fields become texts. Raises InputError naming the first line that
    cannot be read; with `skip_bad` such lines are left out.
    """
    lines, skipped = read_items(source, lambda data, number: _candidates(data, layout), skip_bad)
    by_query: dict[tuple[str, str | None], list[Candidates]] = {}
    for line in lines:
        by_query.setdefault((line.query, line.instruction), []).append(line)
    return [_joined(group) for group in by_query.values()], skipped


def _candidates(data: Any, layout: Layout) -> Candidates:
    if not isinstance(data, dict) or not isinstance(data.get("query"), str):
        raise ValueError("has no `query` that is a string")
    instruction = data.get("instruction")
    if instruction is not None and not isinstance(instruction, str):
        raise ValueError(f"has the instruction {instruction!r:.60}, which is no string")
    listed = data.get("documents")
    if ("document" in data) == ("documents" in data) or ("documents" in data and not isinstance(listed, list)):
        raise ValueError("has neither a `document` nor `documents`, a list of them, or has both")
    documents = tuple(_text(one, layout) for one in (listed if isinstance(listed, list) else [data["document"]]))
    if not documents:
        raise ValueError("has no documents")
    check_characters(data["query"], instruction or "", *documents)
    return Candidates(
        query=data["query"],
        instruction=instruction,
        documents=documents,
        relevance=_relevance(data.get("relevance"), len(documents)),
    )


def _text(document: object, layout: Layout) -> str:
    if isinstance(document, str):
        return document
    if not isinstance(document, dict):
        raise ValueError(f"has the document {document!r:.60}, which is neither a string nor an object")
    return text_of(document, layout)


def _relevance(given: object, documents: int) -> tuple[int, ...] | None:
    if given is None:
        return None
    grades = given if isinstance(given, list) else [given]
    if len(grades) != documents:
        raise ValueError(f"has {len(grades)} grades of relevance for {documents} documents")
    for grade in grades:
        if not isinstance(grade, int) or isinstance(grade, bool) or grade < 0:
            raise ValueError(f"has the relevance {grade!r:.60}, which is no whole number from 0")
    return tuple(grades)


def _joined(group: Sequence[Candidates]) -> Candidates:
    grades = [grade for line in group for grade in line.relevance or ()]
    return Candidates(
        query=group[0].query,
        instruction=group[0].instruction,
        documents=tuple(document for line in group for document in line.documents),
        relevance=tuple(grades) if all(line.relevance is not None for line in group) else None,
    )
