"""The variants an artifact can hold, and the passes that make each from the float32 graph."""

from dataclasses import dataclass

import onnx_ir as ir

from onnxrank.quantize.embedding import quantize_embeddings
from onnxrank.quantize.float16 import convert_float16
from onnxrank.quantize.int8 import quantize_int8
from onnxrank.quantize.q4 import quantize_q4
from onnxrank.quantize.unpacked import quantize_unpacked


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantSpec:
    """`suffix` is Transformers.js's file suffix; `weights` is None, "int8" or "q4".

    `packed` says whether packed scoring, a way of the CPU, is meant for this variant.
    """

    suffix: str
    half: bool
    weights: str | None
    packed: bool
    purpose: str


VARIANTS = {
    "fp32": VariantSpec(suffix="", half=False, weights=None, packed=True, purpose="the reference; four bytes a weight"),
    "fp16": VariantSpec(suffix="_fp16", half=True, weights=None, packed=False, purpose="GPUs"),
    "int8": VariantSpec(
        suffix="_quantized",
        half=False,
        weights="int8",
        packed=True,
        purpose="fastest on CPUs; one scale a token",
    ),
    "q4": VariantSpec(suffix="_q4", half=False, weights="q4", packed=True, purpose="smallest; CPUs and browsers"),
    "q4f16": VariantSpec(
        suffix="_q4f16", half=True, weights="q4", packed=False, purpose="browsers and GPUs with float16"
    ),
}


def apply_variant(
    model: ir.Model,
    variant: str,
    *,
    block_size: int = 32,
    method: str = "rtn",
    embedding_bits: int = 8,
    exclude: str | None = None,
    packed: bool = False,
) -> tuple[str, ...]:
    """Turn a float32 graph into `variant`, in place; return what a float16 variant kept in float32.

    Weights whose name starts with `exclude` are left alone. block_size, method and embedding_bits are q4's. packed:
    whether it is the packed graph, whose 4-bit weights are unpacked to int8 before it runs.
    """
    spec = VARIANTS[variant]
    kept = convert_float16(model, exclude=exclude) if spec.half else ()
    if spec.weights == "int8":
        quantize_int8(model, exclude=exclude)
    elif spec.weights == "q4" and packed:
        quantize_unpacked(model, exclude=exclude)
    elif spec.weights == "q4":
        quantize_q4(model, block_size=block_size, method=method, exclude=exclude)
    if spec.weights:
        quantize_embeddings(model, embedding_bits if spec.weights == "q4" else 8)
    return kept
