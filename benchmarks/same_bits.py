"""How many logits change, and by how much, in other company: `python -m benchmarks.same_bits artifacts/demo`.

The pairs are those of the demo's evaluation: 12 queries with 16 documents each.
"""

import json
import random
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from onnxrank import Reranker
from onnxrank.artifact.opening import open_artifact
from onnxrank.cli.console import show_table

EVALUATION = Path("export/demo/evaluation.jsonl")
QUERIES, DOCUMENTS = 12, 16
COLUMNS = ["variant", "again", "in another order", "in two halves", "query by query", "one by one"]
Floats = NDArray[np.float32]


def main(artifact: Path) -> None:
    """Compare each variant's logits of one call with those of others."""
    lines = [json.loads(line) for line in EVALUATION.read_text(encoding="utf-8").splitlines()[:QUERIES]]
    pairs = [(line["query"], document) for line in lines for document in line["documents"][:DOCUMENTS]]
    order = random.Random(0).sample(range(len(pairs)), len(pairs))
    rows = []
    for variant in open_artifact(artifact).manifest.variants:
        reranker = Reranker(artifact, variant=variant, threads=1)

        def in_parts(size: int, reranker: Reranker = reranker) -> Floats:
            parts = [reranker.score(pairs[i : i + size]).logits for i in range(0, len(pairs), size)]
            return np.concatenate(parts)

        whole = in_parts(len(pairs))
        shuffled = np.empty_like(whole)
        shuffled[order] = reranker.score([pairs[i] for i in order]).logits
        others = [in_parts(len(pairs)), shuffled, in_parts(100), in_parts(DOCUMENTS), in_parts(1)]
        rows.append([variant, *(_difference(whole, other) for other in others)])
    show_table(f"{len(pairs)} pairs: logits that change, and by how much at most", COLUMNS, rows)


def _difference(one: Floats, other: Floats) -> str:
    return f"{(one != other).mean():.0%}, {np.abs(one - other).max():.1g}"


if __name__ == "__main__":
    typer.run(main)
