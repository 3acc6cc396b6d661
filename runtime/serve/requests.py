"""What a client asks of a served model and what it gets: shared by codecs, scheduler and models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxrank.text.body import TruncationSide as TruncationSide

LongDocuments = Literal["truncate", "chunk", "error"]
Priority = Literal["high", "normal", "low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """(query, document) texts to score.

    deadline: on `time.monotonic`'s clock; None for none. partial: a document that cannot be scored gets its own error
    instead of failing the request.
    """

    pairs: tuple[tuple[str, str], ...]
    instruction: str | None = None
    long_documents: LongDocuments = "truncate"
    max_tokens_per_doc: int | None = None
    truncation_side: TruncationSide = "right"
    partial: bool = False
    priority: Priority = "normal"
    deadline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest:
    """Texts to embed as queries or documents."""

    texts: tuple[str, ...]
    is_query: bool = False
    instruction: str | None = None
    priority: Priority = "normal"
    deadline: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds that a request spent; queue counts from tokenization to its first pack."""

    tokenization: float = 0.0
    queue: float = 0.0
    inference: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of a long document that gave its score: number, from 1, of `count`, and which characters of the
    document."""

    number: int
    count: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOutcome:
    """One entry per pair, in input order; NaN where `errors` says why there is no score.

    logits, scores: float32 [n], raw and as the model's activation gives them. truncated: indices of documents of which
    a part was not read. tokens: how many the request has, prompts included; what came from a cache or was shared with
    another request counts too.
    """

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    tokens: int
    truncated: tuple[int, ...] = ()
    windows: Mapping[int, Window] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)
    timing: Timing = Timing()


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOutcome:
    """vectors: float32 [n, dim], L2-normalised."""

    vectors: NDArray[np.float32]
    tokens: int
    truncated: tuple[int, ...] = ()
    timing: Timing = Timing()
