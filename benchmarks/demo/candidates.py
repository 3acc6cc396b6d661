"""BM25, the hard negatives it finds, and the held-out evaluation set."""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.demo.texts import Pair

HELD_OUT_PERCENT = 8
QUERIES = 200
CANDIDATES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Negatives:
    """For each pair, indices of other pairs' documents: BM25's best, and those of the same module."""

    hard: list[list[int]]
    same_module: list[list[int]]


class BM25:
    """Okapi BM25 over words, k1 = 1.2, b = 0.75."""

    def __init__(self, documents: Sequence[str], k1: float = 1.2, b: float = 0.75) -> None:
        counts = [Counter(_words(text)) for text in documents]
        lengths = np.array([sum(c.values()) for c in counts])
        self._vocabulary = {word: i for i, word in enumerate(sorted(set().union(*counts)))}
        norm = k1 * (1 - b + b * lengths / lengths.mean())
        rows, columns, values = [], [], []
        for row, count in enumerate(counts):
            for word, frequency in count.items():
                rows.append(row)
                columns.append(self._vocabulary[word])
                values.append(frequency * (k1 + 1) / (frequency + norm[row]))
        appearances = np.bincount(columns, minlength=len(self._vocabulary))
        rarity = np.log(1 + (len(documents) - appearances + 0.5) / (appearances + 0.5))
        weights = np.array(values) * rarity[columns]
        self._weights = sparse.csr_matrix((weights, (columns, rows)), (len(self._vocabulary), len(documents)))

    def scores(self, queries: Sequence[str]) -> NDArray[np.float64]:
        """Return [queries, documents]."""
        hits = [
            (row, self._vocabulary[word])
            for row, query in enumerate(queries)
            for word in sorted(set(_words(query)))
            if word in self._vocabulary
        ]
        rows, columns = zip(*hits, strict=True)
        counts = sparse.csr_matrix((np.ones(len(hits)), (rows, columns)), (len(queries), len(self._vocabulary)))
        dense: NDArray[np.float64] = (counts @ self._weights).toarray()
        return dense


def split(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Return (training, held-out) pairs; all pairs of a module are in the same part."""

    def held_out(pair: Pair) -> bool:
        return int(hashlib.md5(pair.module.encode()).hexdigest(), 16) % 100 < HELD_OUT_PERCENT

    return [p for p in pairs if not held_out(p)], [p for p in pairs if held_out(p)]


def find_negatives(pairs: Sequence[Pair], bm25: BM25, count: int = 24) -> Negatives:
    """Return each pair's `count` hardest documents, best first, and up to 40 of its own module."""
    hard: list[list[int]] = []
    for start in range(0, len(pairs), 512):
        scores = bm25.scores([p.query for p in pairs[start : start + 512]])
        own = np.arange(len(scores))
        scores[own, start + own] = -1
        hard += np.argsort(-scores, axis=1, kind="stable")[:, :count].tolist()
    modules: dict[str, list[int]] = {}
    for i, pair in enumerate(pairs):
        modules.setdefault(pair.module, []).append(i)
    same = [[j for j in modules[pair.module] if j != i][:40] for i, pair in enumerate(pairs)]
    return Negatives(hard=hard, same_module=same)


def write_evaluation(held_out: Sequence[Pair], path: Path) -> None:
    """Write the evaluation set: per query its document, 7 hard negatives, up to 4 of its module, the rest random."""
    rng = random.Random(0)
    bm25 = BM25([p.document for p in held_out])
    negatives = find_negatives(held_out, bm25)
    lines = []
    for i in rng.sample(range(len(held_out)), QUERIES):
        chosen = negatives.hard[i][:7]
        same = [j for j in negatives.same_module[i] if j not in chosen]
        rng.shuffle(same)
        chosen += same[:4]
        while len(chosen) < CANDIDATES - 1:
            j = rng.randrange(len(held_out))
            if j != i and j not in chosen:
                chosen.append(j)
        chosen.append(i)
        rng.shuffle(chosen)
        scores = bm25.scores([held_out[i].query])[0]
        lines.append(
            json.dumps(
                {
                    "query": held_out[i].query,
                    "documents": [held_out[j].document for j in chosen],
                    "relevance": [int(j == i) for j in chosen],
                    "bm25": [round(float(scores[j]), 4) for j in chosen],
                }
            )
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]{2,}|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower())
