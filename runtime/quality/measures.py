"""Ranking measures, computed by ir-measures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import BackendError

Qrels = Mapping[str, Mapping[str, int]]
Run = Mapping[str, Mapping[str, float]]

# Relevance grades: the document that was asked for, and others of its cluster.
TARGET, CLUSTER = 2, 1
RANKING = ("nDCG@10", "RR@10", "P@1")
# The first hit is of the cluster; gain by relevance; the target is among the first five; its reciprocal rank.
ROUTING = {
    "cluster@1": f"Success(rel={CLUSTER})@1",
    "nDCG@10": "nDCG@10",
    "ret@5": f"Success(rel={TARGET})@5",
    "MRR@10": f"RR(rel={TARGET})@10",
}


def measure(qrels: Qrels, run: Run, measures: Sequence[str]) -> dict[str, float]:
    """Return the mean of each measure, by its name in ir-measures' notation, over the queries of `qrels`.

    qrels: query to document to relevance. run: query to document to score.
    Raises BackendError if ir-measures is not installed.
    """
    ir_measures = _ir_measures()
    parsed: dict[str, Any] = {name: ir_measures.parse_measure(name) for name in measures}
    found = ir_measures.calc_aggregate(parsed.values(), qrels, run)
    return {name: float(found[measure]) for name, measure in parsed.items()}


def ndcg(relevance: Sequence[Iterable[int]], scores: Sequence[Iterable[float]]) -> NDArray[np.float64]:
    """Return nDCG@10 of each query, [queries]; 0 for a query without a relevant document.

    relevance: the grade of each document of each query, a whole number; 0 is not relevant. scores: likewise.
    Raises BackendError if ir-measures is not installed.
    """
    ir_measures = _ir_measures()
    qrels = {str(query): {str(i): int(grade) for i, grade in enumerate(row)} for query, row in enumerate(relevance)}
    run = {str(query): {str(i): float(score) for i, score in enumerate(row)} for query, row in enumerate(scores)}
    found = np.zeros(len(qrels))
    for metric in ir_measures.iter_calc([ir_measures.parse_measure("nDCG@10")], qrels, run):
        found[int(metric.query_id)] = metric.value
    return found


def _ir_measures() -> Any:
    try:
        import ir_measures
    except ImportError as error:
        raise BackendError(
            "ranking measures need ir-measures, which is not installed: `pip install onnxrank[retrieval]`."
        ) from error
    return ir_measures
