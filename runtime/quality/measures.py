"""Ranking measures, computed by ir-measures."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    try:
        import ir_measures
    except ImportError as error:
        raise BackendError(
            "ranking measures need ir-measures, which is not installed: `pip install onnxrank[retrieval]`."
        ) from error
    parsed: dict[str, Any] = {name: ir_measures.parse_measure(name) for name in measures}
    found = ir_measures.calc_aggregate(parsed.values(), qrels, run)
    return {name: float(found[measure]) for name, measure in parsed.items()}
