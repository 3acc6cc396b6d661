"""Scores with our artifact: `python -m benchmarks.ours_worker WORKLOADS ARTIFACT VARIANT`.

It calls `Reranker.score` with texts, so the times include tokenizing. The instruction's cache is warm after the first
request, as in a server.
"""

import sys
from pathlib import Path
from typing import Any

from benchmarks.peers.worker import Score, serve
from onnxrank import Reranker


def main(workloads: Path, artifact: Path, variant: str) -> None:
    def load() -> Score:
        reranker = Reranker(artifact, variant=variant)

        def score(request: dict[str, Any]) -> list[float]:
            pairs = [(request["query"], text) for text in request["documents"]]
            logits: list[float] = reranker.score(pairs).logits.tolist()
            return logits

        return score

    serve(load, workloads)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
