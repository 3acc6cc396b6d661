"""From a body to what its dialect writes down: choose the model, read the documents, score, order."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import InputError
from onnxrank.serve.dialects.fields import Body, RerankBody, ScoringBody
from onnxrank.serve.dialects.openai import EmbeddingsBody
from onnxrank.serve.dialects.ranking import Hit, Ranking
from onnxrank.serve.dialects.vllm_score import ScorePairs
from onnxrank.serve.errors import NoScore
from onnxrank.serve.http.backend import Backend, Kind, Model
from onnxrank.serve.http.failures import UnknownModel
from onnxrank.serve.http.settings import Settings
from onnxrank.serve.requests import EmbedOutcome, ScoreOutcome
from onnxrank.text.documents import slots_of, text_of

_RANKS: tuple[Kind, ...] = ("reranker", "late-interaction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What routes work with; models by the names that clients call them."""

    models: Mapping[str, Model]
    scheduler: Backend
    settings: Settings


async def rank(served: Served, body: RerankBody, request_id: str, api_version: str) -> Ranking:
    """Return documents by descending score.

    Raises InputError, NoScore, and what the scheduler raises.
    """
    name, model = _choose(served.models, body, _RANKS)
    texts = _read(body.documents, model.document_template, body, body.documents_name, served.settings)
    outcome = await _score(served, name, body, texts, [body.query] * len(body.documents))
    values = outcome.logits if body.raw else outcome.scores
    # By logits, because large ones differ even where their sigmoid rounds to 1.
    order = [int(i) for i in np.argsort(-outcome.logits, kind="stable") if i not in outcome.errors]
    if body.score_threshold is not None:
        order = [i for i in order if values[i] >= body.score_threshold]
    return Ranking(
        id=request_id,
        model=body.model or name,
        created=int(time.time()),
        api_version=api_version,
        hits=_hits(order[: body.top_n or None], values, texts if body.return_documents else None),
        documents=len(body.documents),
        outcome=outcome,
    )


async def score_pairs(served: Served, body: ScorePairs, request_id: str) -> Ranking:
    """Return scores in input order; raises like `rank`."""
    name, model = _choose(served.models, body, _RANKS)
    queries = body.query_of_each()
    texts = _read(body.documents, model.document_template, body, "documents", served.settings)
    outcome = await _score(served, name, body, texts, queries)
    return Ranking(
        id=request_id,
        model=body.model or name,
        created=int(time.time()),
        api_version="1",
        hits=_hits(
            [i for i in range(len(queries)) if i not in outcome.errors],
            outcome.logits if body.raw else outcome.scores,
            None,
        ),
        documents=len(body.documents),
        outcome=outcome,
    )


async def embed(served: Served, body: EmbeddingsBody) -> tuple[str, EmbedOutcome]:
    """Return the model's name, as the client calls it, and the vectors; raises like `rank`."""
    name, _ = _choose(served.models, body, ("embedder",))
    _check_count(len(body.input), "input", served.settings)
    outcome = await served.scheduler.embed(name, body.request(served.settings.timeout))
    width = outcome.vectors.shape[1]
    if body.dimensions not in (None, width):
        raise InputError(f"dimensions is {body.dimensions}, and {name} has {width}; leave it out.")
    if not np.isfinite(outcome.vectors).all():
        raise NoScore(f"{name} gave a vector that is not finite")
    return body.model or name, outcome


def _choose(models: Mapping[str, Model], body: Body, kinds: Sequence[Kind]) -> tuple[str, Model]:
    """Return the model that a body names, else the first that can do what it asks; a lone model has any name."""
    wanted = body.model if len(models) > 1 else None
    if wanted is not None and wanted not in models:
        raise UnknownModel(f"model is {wanted!r}, and this server has {', '.join(models)}; give one of these.")
    candidates = {name: model for name, model in models.items() if wanted in (None, name)}
    for name, model in candidates.items():
        if model.kind in kinds:
            return name, model
    name = next(iter(candidates))
    remedy = "ask for embeddings at /v1/embeddings" if "embedder" not in kinds else "ask for scores at /rerank"
    raise InputError(f"the model {name} is of the kind {candidates[name].kind}; {remedy}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """The documents that can be read, and what is wrong with the others."""

    by_index: Mapping[int, str]
    errors: Mapping[int, str]


def _read(documents: Sequence[Any], template: str | None, body: ScoringBody, place: str, settings: Settings) -> _Texts:
    _check_count(len(documents), place, settings)
    texts, errors = {}, {}
    for i, document in enumerate(documents):
        try:
            texts[i] = text_of(_plain(document, template), template, f"{place}[{i}]")
        except InputError as error:
            if not body.partial:
                raise
            errors[i] = str(error)
    return _Texts(by_index=texts, errors=errors)


def _check_count(count: int, place: str, settings: Settings) -> None:
    if count == 0:
        raise InputError(f"{place} is empty; give at least one.")
    if count > settings.max_documents:
        raise InputError(
            f"{place} has {count} entries, and this server takes {settings.max_documents} in a request; send them in "
            "several, or start it with a larger --max-documents."
        )


def _plain(document: Any, template: str | None) -> Any:
    """Return the text of a document as Cohere writes it, {"text": ...}, unless it has the fields of the template."""
    if not isinstance(document, dict) or "text" not in document:
        return document
    return document if template and set(slots_of(template)) <= set(document) else document["text"]


async def _score(served: Served, name: str, body: ScoringBody, texts: _Texts, queries: Sequence[str]) -> ScoreOutcome:
    """Return the outcome by the documents' indices in the request."""
    rows = list(texts.by_index)
    pairs = [(queries[i], text) for i, text in texts.by_index.items()]
    if pairs:
        found = await served.scheduler.score(name, body.request(pairs, served.settings.timeout))
    else:
        found = ScoreOutcome(logits=np.empty(0, np.float32), scores=np.empty(0, np.float32), tokens=0)
    logits = np.full(len(queries), np.nan, np.float32)
    scores = logits.copy()
    logits[rows], scores[rows] = found.logits, found.scores
    for i in np.flatnonzero(~np.isfinite(found.logits)):
        if int(i) not in found.errors:
            raise NoScore(f"{name} gave no finite score for document {rows[i]}")
    return ScoreOutcome(
        logits=logits,
        scores=scores,
        tokens=found.tokens,
        truncated=tuple(rows[i] for i in found.truncated),
        windows={rows[i]: window for i, window in found.windows.items()},
        errors={**texts.errors, **{rows[i]: _renumbered(message, i, rows[i]) for i, message in found.errors.items()}},
        timing=found.timing,
    )


def _renumbered(message: str, scored: int, sent: int) -> str:
    """Return a scorer's message about a document by its place in the request."""
    return message.replace(f"documents[{scored}]", f"documents[{sent}]", 1)


def _hits(order: Sequence[int], values: NDArray[np.float32], texts: _Texts | None) -> tuple[Hit, ...]:
    return tuple(Hit(index=i, score=float(values[i]), text=texts.by_index[i] if texts else None) for i in order)
