"""Pairs to score, their scores by `Reranker.predict`, and a row that cannot be scored."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxrank import Reranker

WORDS = "sort array axis mean graph path value index matrix sum of the along with two".split()
Pair = tuple[str, str]


def pairs(count: int, per_query: int = 20) -> list[Pair]:
    """Return pairs of random texts, those of a query one after the other."""
    rng = np.random.default_rng(0)

    def text(least: int, most: int) -> str:
        return " ".join(rng.choice(WORDS, rng.integers(least, most)))

    queries = [text(3, 8) for _ in range(-(-count // per_query))]
    return [(queries[i // per_query], text(0, 20)) for i in range(count)]


def predicted(artifact: Path, given: Sequence[Pair], *, batch: int, variant: str) -> NDArray[np.float32]:
    """Return the scores of batches of pairs, each by one call."""
    reranker = Reranker(artifact, variant=variant, threads=1)
    return np.concatenate([reranker.predict(given[i : i + batch]) for i in range(0, len(given), batch)])
