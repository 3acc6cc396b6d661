"""Training batches: queries with one right document and negatives that become harder during training."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.demo.candidates import Negatives

QUERIES_PER_STEP = 8
DOCUMENTS_PER_QUERY = 8
QUERY_TOKENS = 24
DOCUMENT_TOKENS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`documents[i * DOCUMENTS_PER_QUERY]` answers `queries[i]`; the documents after it are its negatives."""

    queries: list[list[int]]
    documents: list[list[int]]
    progress: float


def batches(
    queries: Sequence[Sequence[int]],
    documents: Sequence[Sequence[int]],
    negatives: Negatives,
    steps: int,
    seed: int,
) -> Iterator[Batch]:
    """Yield one batch per step; the same seed gives the same batches."""
    rng = random.Random(seed)
    order: list[int] = []
    for step in range(steps):
        progress = step / steps
        hard, same = (0, 0) if progress < 0.2 else (2, 1) if progress < 0.35 else (4, 2)
        length = 32 if progress < 0.2 else 48 if progress < 0.75 else DOCUMENT_TOKENS
        if len(order) < QUERIES_PER_STEP:
            order = rng.sample(range(len(queries)), len(queries))
        chosen = [order.pop() for _ in range(QUERIES_PER_STEP)]
        rows: list[int] = []
        for i in chosen:
            siblings = negatives.same_module[i]
            group = [
                i,
                *rng.sample(negatives.hard[i][:16], hard),
                *rng.sample(siblings, min(same, len(siblings))),
            ]
            while len(group) < DOCUMENTS_PER_QUERY:
                group.append(rng.randrange(len(documents)))
            rows += group
        yield Batch(
            queries=[list(queries[i]) for i in chosen],
            documents=[list(documents[j][:length]) for j in rows],
            progress=progress,
        )
