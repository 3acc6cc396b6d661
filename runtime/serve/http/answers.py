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
    found = await _score(served, body, body.documents_name, [body.query] * len(body.documents))
    # By logits, because large ones differ even where their sigmoid rounds to 1.
    order = [int(i) for i in np.argsort(-found.outcome.logits, kind="stable") if i not in found.outcome.errors]
    if body.score_threshold is not None:
        order = [i for i in order if float(found.values[i]) >= body.score_threshold]
    texts = found.texts if body.return_documents else {}
    return _ranking(found, order[: body.top_n or None], texts, request_id, api_version)


async def score_pairs(served: Served, body: ScorePairs, request_id: str) -> Ranking:
    """Return scores in input order; raises like `rank`."""
    found = await _score(served, body, "documents", body.query_of_each())
    order = [i for i in range(len(body.documents)) if i not in found.outcome.errors]
    return _ranking(found, order, {}, request_id, "1")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    """An outcome by the documents' indices in the request. model: as the client calls it. values: what is shown,
    float32 [documents]. texts: of the documents that could be read."""

    model: str
    values: NDArray[np.float32]
    texts: Mapping[int, str]
    outcome: ScoreOutcome


async def _score(served: Served, body: RerankBody | ScorePairs, place: str, queries: Sequence[str]) -> _Scored:
    name, model = _choose(served.models, body, _RANKS)
    read = _read(body.documents, model.document_template, body, place, served.settings)
    rows = list(read.by_index)
    if rows:
        pairs = [(queries[i], text) for i, text in read.by_index.items()]
        found = await served.scheduler.score(name, body.request(pairs, served.settings.timeout))
    else:
        found = ScoreOutcome(logits=np.empty(0, np.float32), scores=np.empty(0, np.float32), tokens=0)
    # MaxSim over a document without tokens is -inf, which JSON does not have.
    raw, activated = (np.maximum(values, np.finfo(np.float32).min) for values in (found.logits, found.scores))
    for i in np.flatnonzero(~np.isfinite(raw)):
        if int(i) not in found.errors:
            raise NoScore(f"{name} gave no finite score for {place}[{rows[i]}]")
    logits = np.full(len(queries), np.nan, np.float32)
    scores = logits.copy()
    logits[rows], scores[rows] = raw, activated
    # A scorer knows a document by its place among those that could be read.
    errors = {
        rows[i]: message.replace(f"documents[{i}]", f"{place}[{rows[i]}]", 1) for i, message in found.errors.items()
    }
    outcome = ScoreOutcome(
        logits=logits,
        scores=scores,
        tokens=found.tokens,
        truncated=tuple(rows[i] for i in found.truncated),
        windows={rows[i]: window for i, window in found.windows.items()},
        errors={**read.errors, **errors},
        timing=found.timing,
    )
    return _Scored(
        model=body.model or name, values=logits if body.raw else scores, texts=read.by_index, outcome=outcome
    )


def _ranking(
    found: _Scored, order: Sequence[int], texts: Mapping[int, str], request_id: str, api_version: str
) -> Ranking:
    return Ranking(
        id=request_id,
        model=found.model,
        created=int(time.time()),
        api_version=api_version,
        hits=tuple(Hit(index=i, score=float(found.values[i]), text=texts.get(i)) for i in order),
        documents=len(found.values),
        outcome=found.outcome,
    )
