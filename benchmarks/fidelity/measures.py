"""The figures of each engine on one subject, from its scores and the reference's."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity.scores import Engine
from benchmarks.fidelity.subject import Subject
from onnxrank.quality.fidelity import difference, fidelity, interval
from onnxrank.quality.measures import ndcg

Scores = NDArray[np.float32]


def figures(subject: Subject, engine: Engine, expected: Scores, found: Scores) -> dict[str, Any]:
    """Return an engine's figures. expected, found: [queries, documents]; ndcg's difference is in points."""
    relevance = subject.relevance
    gains = ndcg(list(relevance), list(expected)), ndcg(list(relevance), list(found))
    # One document of each query is enough of a picture; all would be a megabyte of SVG.
    picked = np.arange(len(found)), np.arange(len(found)) % found.shape[1]
    return {
        "settings": engine.settings,
        "megabytes": round(engine.megabytes, 1),
        **asdict(fidelity(list(expected), list(found))),
        "ndcg": asdict(interval(gains[1] * 100)),
        "ndcg_difference": asdict(difference(gains[0] * 100, gains[1] * 100)),
        "sample": [
            [round(float(x), 4), round(float(y), 4)] for x, y in zip(expected[picked], found[picked], strict=True)
        ],
    }


def spread(expected: Scores) -> float:
    """Return the root mean square of the reference's scores around each query's mean."""
    return float(np.sqrt(np.square(expected - expected.mean(1, keepdims=True)).mean()))


def merged(results: Mapping[str, Any], name: str, texts: str, section: Mapping[str, Any]) -> dict[str, Any]:
    """Return results with a section's rows in place of older ones; other rows stay if they are of the same scores.

    Each number of queries has a section of its own, so that slow engines can be compared on fewer.
    """
    title = f"{texts}, {section['queries']} queries"
    old = results.get(name, {}).get(title, {})
    same = all(old.get(key) == section[key] for key in ("checkpoint", "texts"))
    rows = {**(old["engines"] if same else {}), **section["engines"]}
    return {**results, name: {**results.get(name, {}), title: {**section, "engines": rows}}}
