"""What a variant's scores cost in nDCG@10, where documents have labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Interval
from onnxrank.quality.candidates import Candidates
from onnxrank.quality.fidelity import difference
from onnxrank.quality.measures import ndcg

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """nDCG@10 over the queries with a relevant document, and each variant's difference from it."""

    queries: int
    ndcg: float
    differences: Mapping[str, Interval]


def measure_labels(
    candidates: Sequence[Candidates], expected: Sequence[Scores], found: Mapping[str, Sequence[Scores]]
) -> Labels | None:
    """Return what scores are worth, each a list with the scores [documents] of every query: the reference's and, by
    name, the variants'. None if no query has a relevant document.

    Raises BackendError if ir-measures is not installed.
    """
    labelled = [i for i, one in enumerate(candidates) if has_labels(one)]
    if not labelled:
        return None
    relevance = [candidates[i].relevance or () for i in labelled]
    base = ndcg(relevance, [expected[i] for i in labelled])
    return Labels(
        queries=len(labelled),
        ndcg=float(base.mean()),
        differences={
            name: difference(base, ndcg(relevance, [scores[i] for i in labelled])) for name, scores in found.items()
        },
    )


def has_labels(candidates: Candidates) -> bool:
    """Whether nDCG says anything about this query: its documents have labels, and one is relevant."""
    return any(candidates.relevance or ())
