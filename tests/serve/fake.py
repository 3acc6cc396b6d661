"""A scheduler without a model, for tests of what lies before it: scores are counts of shared words."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from onnxrank.errors import InputError
from onnxrank.serve.errors import Unavailable
from onnxrank.serve.http.backend import Kind
from onnxrank.serve.requests import EmbedOutcome, EmbedRequest, ScoreOutcome, ScoreRequest, Timing, Window
from onnxrank.serve.scheduling.observer import Observer
from onnxrank.serve.scheduling.state import State

LIMIT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeModel:
    kind: Kind = "reranker"
    variant: str = "int8"
    identity: str = "0" * 64
    max_length: int = LIMIT
    document_template: str | None = None


READY = State(ready=True, reason=None, queued_tokens=7, queued_requests=2, running_requests=1, tokens_per_second=1000.0)


@dataclass(slots=True, kw_only=True)
class FakeScheduler:
    """asked: requests so far. error: raised instead of an answer. hold: an answer waits until it is set. nan, lowest:
    documents whose score is not a number, or -inf. entered, cancelled: set when a request comes or is given up."""

    models: Mapping[str, FakeModel] = field(default_factory=lambda: {"demo": FakeModel()})
    state: State = READY
    observe: Observer = field(default_factory=Observer)
    asked: list[ScoreRequest | EmbedRequest] = field(default_factory=list)
    error: Exception | None = None
    hold: asyncio.Event | None = None
    nan: tuple[int, ...] = ()
    lowest: tuple[int, ...] = ()
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        self.state = replace(self.state, ready=True, reason=None)

    async def drain(self, seconds: float) -> None:
        self.state = replace(self.state, ready=False, reason="the server is draining.")

    async def score(self, model: str, request: ScoreRequest) -> ScoreOutcome:
        await self._admit(request)
        logits = np.array([logit(query, document) for query, document in request.pairs], np.float32)
        long = {i for i, (_, document) in enumerate(request.pairs) if len(document.split()) > LIMIT}
        errors = {}
        if long and request.long_documents == "error":
            errors = {i: f"documents[{i}] is too long." for i in sorted(long)}
            if not request.partial:
                raise InputError(next(iter(errors.values())))
        windows = {i: Window(number=2, count=3, start=10, end=20) for i in long}
        logits[[*errors, *self.nan]] = np.nan
        logits[list(self.lowest)] = -np.inf
        return ScoreOutcome(
            logits=logits,
            scores=(1 / (1 + np.exp(-logits))).astype(np.float32),
            tokens=sum(min(LIMIT, len(f"{query} {document}".split())) for query, document in request.pairs),
            truncated=tuple(sorted(long - set(errors))) if request.long_documents == "truncate" else (),
            windows=windows if request.long_documents == "chunk" else {},
            errors=errors,
            timing=Timing(tokenization=0.001, queue=0.002, inference=0.003, total=0.006),
        )

    async def embed(self, model: str, request: EmbedRequest) -> EmbedOutcome:
        await self._admit(request)
        vectors = np.array([[len(text), request.is_query, 1] for text in request.texts], np.float32)
        return EmbedOutcome(
            vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
            tokens=sum(len(text.split()) for text in request.texts),
        )

    async def _admit(self, request: ScoreRequest | EmbedRequest) -> None:
        if not self.state.ready:
            raise Unavailable(self.state.reason or "")
        self.asked.append(request)
        self.entered.set()
        if self.error:
            raise self.error
        try:
            if self.hold:
                await self.hold.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


def logit(query: str, document: str) -> float:
    return float(len(set(query.split()) & set(document.split())))
