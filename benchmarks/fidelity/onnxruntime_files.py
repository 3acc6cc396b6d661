"""Artifacts whose padded graph ONNX Runtime's own tools have quantized, from the float32 one of ours."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from onnxrank.artifact.manifest import write_manifest
from onnxrank.artifact.opening import TOKENIZER, Artifact
from onnxrank.export.exporter import with_files

BLOCK = 32
# As our own graphs have it: the CPU's kernels multiply 8-bit integers.
ACCURACY_LEVEL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantizer:
    """settings: for people. write(source, target) writes a quantized graph."""

    settings: str
    write: Callable[[Path, Path], None]


def quantized(artifact: Artifact, name: str, folder: Path) -> None:
    """Write an artifact with one variant, called fp32 like the one whose graph is quantized."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "onnx").mkdir(parents=True)
    shutil.copyfile(artifact.tokenizer, folder / TOKENIZER)
    whole = artifact.manifest.variants["fp32"]
    QUANTIZERS[name].write(artifact.folder / whole.padded, folder / whole.padded)
    files = tuple(path.relative_to(folder).as_posix() for path in (folder / "onnx").iterdir())
    variant = replace(whole, prefix=None, requantize=None, files=files)
    manifest = replace(artifact.manifest, variants={"fp32": variant}, files={})
    write_manifest(with_files(Artifact(folder=folder, manifest=manifest)).manifest, folder)


def _dynamic(source: Path, target: Path) -> None:
    from onnx import TensorProto
    from onnxruntime.quantization import quantize_dynamic

    # ONNX's shape inference does not know ONNX Runtime's own operators.
    options = {"DefaultTensorType": TensorProto.FLOAT}
    quantize_dynamic(
        source,
        target,
        per_channel=True,
        op_types_to_quantize=["MatMul"],
        use_external_data_format=True,
        extra_options=options,
    )


def _round_to_nearest(source: Path, target: Path) -> None:
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(
        onnx.load(source), block_size=BLOCK, is_symmetric=True, accuracy_level=ACCURACY_LEVEL
    )
    quantizer.process()
    quantizer.model.save_model_to_file(target, True)


QUANTIZERS = {
    "ONNX Runtime int8": Quantizer(settings="quantize_dynamic, per channel, MatMul only", write=_dynamic),
    "ONNX Runtime q4": Quantizer(
        settings=f"MatMulNBitsQuantizer, symmetric, block {BLOCK}, accuracy level {ACCURACY_LEVEL}",
        write=_round_to_nearest,
    ),
}
