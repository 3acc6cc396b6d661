"""Exports the classifier with optimum-onnx and quantizes it as its documentation says for this instruction set.

`python -m benchmarks.peers.optimum_files build/bench/classifier build/peers/optimum/models`
"""

import shutil
import sys
import tempfile
from pathlib import Path

from optimum.onnxruntime import AutoQuantizationConfig, ORTModelForSequenceClassification, ORTQuantizer


def main(classifier: Path, out: Path) -> None:
    """Write model_quantized.onnx unless it exists."""
    if (out / "model_quantized.onnx").exists():
        return
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        exported, quantized = Path(scratch, "exported"), Path(scratch, "quantized")
        ORTModelForSequenceClassification.from_pretrained(classifier, export=True).save_pretrained(exported)
        config = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=True)
        ORTQuantizer.from_pretrained(exported).quantize(save_dir=quantized, quantization_config=config)
        shutil.rmtree(out, ignore_errors=True)
        quantized.rename(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
