"""Scores a batch of rows; a row that cannot be scored says why and costs the others nothing. Every engine calls it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from onnxrank.errors import InputError
from onnxrank.offline.model import PairModel
from onnxrank.text.documents import check_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """query, document: the columns to score; document is "document" or, if there is none, "documents". The cells of the
    latter may be texts, fields for the artifact's document template, or lists of these. prefix: stands before the names
    of the new columns `score`, `truncated` and `error`.
    """

    query: str = "query"
    document: str | None = None
    prefix: str = ""

    @property
    def added(self) -> tuple[str, str, str]:
        """The names of the new columns."""
        return f"{self.prefix}score", f"{self.prefix}truncated", f"{self.prefix}error"

    def documents_of(self, names: Sequence[str], place: object) -> str:
        """Return the column of documents in a table with these columns.

        Raises InputError if it lacks a column to score, or has one with the name of a new one.
        """
        document = self.document or ("documents" if "document" not in names and "documents" in names else "document")
        for wanted in (self.query, document):
            if wanted not in names:
                raise InputError(
                    f"{place} has no column {wanted!r}; name the columns of queries and documents, which are among "
                    f"{', '.join(map(repr, names))}."
                )
        for new in self.added:
            if new in names:
                raise InputError(f"{place} already has a column {new!r}; give a prefix for the names of the new ones.")
        return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a document: its score and whether its end was cut, or why it has no score."""

    score: float | None = None
    truncated: bool | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Stands for a query or a document that could not be read."""

    reason: str


# Of a cell with one document, or of one with a list.
CellOutcome = Outcome | list[Outcome]


def score_rows(model: PairModel, queries: Iterable[object], documents: Iterable[object]) -> list[CellOutcome]:
    """Return what became of each row's document, or of each in its list, in order.

    The scores are those of one call of `predict` with all pairs that can be scored.
    """
    cells = list(documents)
    checked: list[Outcome | None] = []
    pairs: list[tuple[str, str]] = []
    for query, cell in zip(queries, cells, strict=True):
        for document in cell if isinstance(cell, list) else [cell]:
            pair = _pair(model, query, document)
            checked.append(pair if isinstance(pair, Outcome) else None)
            pairs += [] if isinstance(pair, Outcome) else [pair]
    scored = _scored(model, pairs)
    found = (outcome or next(scored) for outcome in checked)
    return [list(islice(found, len(cell))) if isinstance(cell, list) else next(found) for cell in cells]


def error_of(found: CellOutcome) -> str | None:
    """Return the first reason why a row has not all of its scores."""
    return next((one.error for one in found if one.error), None) if isinstance(found, list) else found.error


def values_of(found: CellOutcome) -> tuple[Any, Any, str | None]:
    """Return a row's new cells: score, truncated (each a list for a list of documents) and error."""
    if isinstance(found, list):
        return [one.score for one in found], [one.truncated for one in found], error_of(found)
    return found.score, found.truncated, found.error


def _pair(model: PairModel, query: Any, document: Any) -> tuple[str, str] | Outcome:
    for cell in (query, document):
        if isinstance(cell, Unreadable):
            return Outcome(error=cell.reason)
    try:
        check_text(query, "query")
        return query, model.text(document)
    except InputError as error:
        return Outcome(error=str(error))


def _scored(model: PairModel, pairs: Sequence[tuple[str, str]]) -> Iterator[Outcome]:
    """Yield what became of each pair; halves of a batch go on alone, down to the pair that cannot be scored."""
    if not pairs:
        return
    try:
        scores, truncated = model.score(pairs)
    except InputError as error:
        if len(pairs) == 1:
            yield Outcome(error=str(error))
            return
        middle = len(pairs) // 2
        yield from _scored(model, pairs[:middle])
        yield from _scored(model, pairs[middle:])
        return
    for score, cut in zip(scores.tolist(), truncated.tolist(), strict=True):
        yield Outcome(score=score, truncated=cut)
