"""Scores with OpenVINO: `python -m benchmarks.peers.openvino_worker WORKLOADS FOLDER`."""

import os
import sys
from pathlib import Path
from typing import Any

import openvino

from benchmarks.peers.padding import Ids, score_padded
from benchmarks.peers.worker import Score, serve

# The fastest of those tried.
BATCH_TOKENS = 512
SETTINGS = {
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
    "INFERENCE_PRECISION_HINT": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "128",
}


def main(workloads: Path, folder: Path) -> None:
    def load() -> Score:
        model: Any = openvino.Core().compile_model(folder / "openvino_model.xml", "CPU", SETTINGS)
        names = [entry.get_any_name() for entry in model.inputs]

        def run(feeds: dict[str, Ids]) -> Any:
            return model({name: feeds[name] for name in names})[0]

        return lambda request: score_padded(request, BATCH_TOKENS, run)

    serve(load, workloads)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
