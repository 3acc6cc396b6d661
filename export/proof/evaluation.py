"""Ranking quality of an exported variant on labelled candidates."""

import json
from pathlib import Path
from typing import TypeVar

from onnxrank.artifact.opening import Artifact
from onnxrank.quality.measures import RANKING, measure
from onnxrank.reranker import Reranker

# Displayed names of the measures in RANKING.
NAMES = ("nDCG@10", "MRR@10", "top-1")

T = TypeVar("T", int, float)


def evaluate_labels(artifact: Artifact, variant: str, path: Path) -> dict[str, float]:
    """Return nDCG@10, MRR@10 and top-1 of a variant over a file of labelled candidates.

    A line of the file is {"query", "documents": [...], "relevance": [...]}; relevance 0 means not relevant.
    """
    reranker = Reranker(artifact, variant=variant)
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    scores = [reranker.predict([(entry["query"], text) for text in entry["documents"]]) for entry in entries]
    return measure_labels([e["relevance"] for e in entries], [row.tolist() for row in scores])


def measure_labels(relevance: list[list[int]], scores: list[list[float]]) -> dict[str, float]:
    """Return the measures of scores against relevance labels, each `[queries][candidates]`."""
    qrels = {str(query): _named(row) for query, row in enumerate(relevance)}
    run = {str(query): _named(row) for query, row in enumerate(scores)}
    found = measure(qrels, run, RANKING)
    return dict(zip(NAMES, found.values(), strict=True))


def _named(row: list[T]) -> dict[str, T]:
    return {str(document): value for document, value in enumerate(row)}
