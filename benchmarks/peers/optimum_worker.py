"""Scores with optimum-onnx's graph in ONNX Runtime: `python -m benchmarks.peers.optimum_worker WORKLOADS FOLDER`."""

import sys
from pathlib import Path
from typing import Any

import onnxruntime

from benchmarks.peers.padding import Ids, score_padded
from benchmarks.peers.worker import Score, serve

# The fastest of those tried.
BATCH_TOKENS = 256


def main(workloads: Path, folder: Path) -> None:
    def load() -> Score:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        path = folder / "model_quantized.onnx"
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [entry.name for entry in session.get_inputs()]

        def run(feeds: dict[str, Ids]) -> Any:
            return session.run(["logits"], {name: feeds[name] for name in names})[0]

        return lambda request: score_padded(request, BATCH_TOKENS, run)

    serve(load, workloads)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
