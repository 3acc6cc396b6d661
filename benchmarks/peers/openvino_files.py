"""Exports the classifier with optimum-intel, with weights of 8 and 4 bits.

`python -m benchmarks.peers.openvino_files build/bench/classifier build/peers/openvino/models`
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from optimum.intel import OVModelForSequenceClassification, OVWeightQuantizationConfig

# The fastest layouts of those tried; for all layers, because some would stay in 8 bits by default.
CONFIGS: dict[str, dict[str, Any]] = {
    "int8": {"bits": 8, "sym": True},
    "int4": {"bits": 4, "sym": True, "group_size": 128, "ratio": 1.0},
}


def main(classifier: Path, out: Path) -> None:
    """Write a folder per bit width unless it exists."""
    out.mkdir(parents=True, exist_ok=True)
    for name, settings in CONFIGS.items():
        if (out / name).exists():
            continue
        with tempfile.TemporaryDirectory(dir=out) as scratch:
            config = OVWeightQuantizationConfig(**settings)
            model = OVModelForSequenceClassification.from_pretrained(
                classifier, export=True, compile=False, quantization_config=config
            )
            model.save_pretrained(Path(scratch, name))
            shutil.move(Path(scratch, name), out / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
