"""A ranking that a dialect writes down, and the parts that several dialects write alike."""

import math
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from onnxrank.serve.requests import ScoreOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A document of the ranking: its index in the request, its score, and its text if the answer shall show it."""

    index: int
    score: float
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The answer to a request: best first, or in input order if pairs are scored.

    created: seconds since 1970. documents: how many were sent. outcome: its indices are those of the request.
    """

    id: str
    model: str
    created: int
    api_version: str
    hits: tuple[Hit, ...]
    documents: int
    outcome: ScoreOutcome


class Usage(BaseModel):
    """Tokens of all prompts."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0


class WonWindow(BaseModel):
    """The part of a long document that gave its score: number of `count`, and which characters."""

    index: int
    number: int
    count: int
    start: int
    end: int


class DocumentError(BaseModel):
    """Why a document has no score."""

    index: int
    message: str


class Report(BaseModel):
    """truncated: indices of documents of which a part was not read. windows: with `long_documents: chunk`. errors: with
    `on_error: partial`."""

    truncated: list[int]
    windows: list[WonWindow] | None = None
    errors: list[DocumentError] | None = None


class ApiVersion(BaseModel):
    version: str
    is_experimental: bool = False


class BilledUnits(BaseModel):
    search_units: int


class Meta(Report):
    api_version: ApiVersion
    billed_units: BilledUnits


class StringHit(BaseModel):
    """As Infinity and Voyage write it: the document is a string."""

    index: int
    relevance_score: float
    document: str | None = None


def string_hits(ranking: Ranking) -> list[StringHit]:
    return [StringHit(index=hit.index, relevance_score=hit.score, document=hit.text) for hit in ranking.hits]


def usage(outcome: ScoreOutcome) -> Usage:
    return Usage(prompt_tokens=outcome.tokens, total_tokens=outcome.tokens)


def report(outcome: ScoreOutcome) -> Report:
    return Report(**_report(outcome))


def meta(ranking: Ranking) -> Meta:
    """Return Cohere's `meta`, whose unit is up to 100 documents, with the report."""
    return Meta(
        api_version=ApiVersion(version=ranking.api_version),
        billed_units=BilledUnits(search_units=math.ceil(ranking.documents / 100)),
        **_report(ranking.outcome),
    )


def _report(outcome: ScoreOutcome) -> dict[str, Any]:
    windows = [
        WonWindow(index=i, number=window.number, count=window.count, start=window.start, end=window.end)
        for i, window in sorted(outcome.windows.items())
    ]
    errors = [DocumentError(index=i, message=message) for i, message in sorted(outcome.errors.items())]
    return {"truncated": sorted(outcome.truncated), "windows": windows or None, "errors": errors or None}
