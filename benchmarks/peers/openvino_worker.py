"""Scores with OpenVINO: `python -m benchmarks.peers.openvino_worker WORKLOADS FOLDER GROUP`."""

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
    "INFERENCE_PRECISION_HINT": "bf16",
}


def main(workloads: Path, folder: Path, group: str) -> None:
    def load() -> Score:
        settings = {**SETTINGS, "DYNAMIC_QUANTIZATION_GROUP_SIZE": group}
        model: Any = openvino.Core().compile_model(folder / "openvino_model.xml", "CPU", settings)
        names = [entry.get_any_name() for entry in model.inputs]

        def run(feeds: dict[str, Ids]) -> Any:
            return model({name: feeds[name] for name in names})[0]

        return lambda request: score_padded(request, BATCH_TOKENS, run)

    serve(load, workloads)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
