"""Requests of mixed sizes, and the answers that they must get: `Reranker` scores them, one after the other."""

import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.demo.texts import Pair
from onnxrank import Reranker


@dataclass(frozen=True, kw_only=True)
class Request:
    """A query and documents to rank."""

    query: str
    documents: tuple[str, ...]

    @cached_property
    def body(self) -> bytes:
        """As clients of Cohere, Jina, vLLM and Infinity send it."""
        return json.dumps({"model": "model", "query": self.query, "documents": self.documents}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A request's scores, float32 [documents], in input order, and the tokens of its prompts."""

    scores: NDArray[np.float32]
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What `Reranker` answered without a server, and how many seconds all requests took."""

    expected: tuple[Expected, ...]
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return sum(one.tokens for one in self.expected) / self.seconds


def draw(pairs: Sequence[Pair], count: int, sizes: tuple[int, int], seed: int = 0) -> list[Request]:
    """Return requests of `sizes` documents, small ones as likely as large ones on a logarithmic scale. No two have the
    same query, because a server may compute equal pairs once."""
    rng = random.Random(seed)
    smallest, largest = map(math.log, sizes)
    return [
        Request(
            query=f"{pair.query} ({i})",
            documents=tuple(
                other.document for other in rng.sample(pairs, round(math.exp(rng.uniform(smallest, largest))))
            ),
        )
        for i, pair in enumerate(rng.sample(pairs, count))
    ]


def score_alone(reranker: Reranker, requests: Sequence[Request]) -> Alone:
    """Score requests in this process, after one that fills the caches."""
    reranker.rank(requests[0].query, requests[0].documents)
    expected, start = [], time.perf_counter()
    for request in requests:
        found = reranker.score([(request.query, document) for document in request.documents])
        expected.append(Expected(scores=found.scores, tokens=int(found.tokens.sum())))
    return Alone(expected=tuple(expected), seconds=time.perf_counter() - start)
