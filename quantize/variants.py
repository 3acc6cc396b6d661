"""Makes each variant from the float32 graph: `change_basis`, then `apply_precision`."""

from collections.abc import Container

import onnx_ir as ir

from onnxrank.artifact.variants import Precision
from onnxrank.quantize.embedding import quantize_embeddings
from onnxrank.quantize.float16 import convert_float16
from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.int8 import quantize_int8
from onnxrank.quantize.q4 import quantize_q4
from onnxrank.quantize.requantize import quantize_requantized
from onnxrank.quantize.rotate import rotate
from onnxrank.quantize.spread import HADAMARD, spread


def change_basis(model: ir.Model, hessians: Hessians, *, exclude: str) -> None:
    """Write a float32 graph, whose weights will get 8 bits or less, in a basis whose activations have no outliers, in
    place.

    hessians: of the inputs of the graph's weights; they change with it. Weights whose name starts with `exclude` stay.
    """
    rotate(model, hessians)
    spread(model, hessians, exclude=exclude)


def apply_precision(
    model: ir.Model,
    precision: Precision,
    *,
    block_size: int = 32,
    method: str = "gptq",
    wide: Container[str] = (),
    embedding_bits: int = 8,
    exclude: str,
    hessians: Hessians | None = None,
    prefix_graph: bool = False,
) -> tuple[str, ...]:
    """Turn a float32 graph into one of another precision, in place; return what float16 kept in float32.

    Weights whose name starts with `exclude` are not changed. block_size, method, wide and embedding_bits are for 4-bit
    weights; see `quantize_q4`. hessians: of the inputs of the graph's weights, which decide how they are rounded.
    prefix_graph: whether it is the prefix graph, whose 4-bit weights are requantized to int8 at load.
    """
    kept = convert_float16(model, exclude=exclude) if precision.float16 else ()
    exact = (HADAMARD, exclude)
    if precision.weight_bits == 8:
        quantize_int8(model, exclude=exact, hessians=hessians)
    elif prefix_graph and precision.requantized:
        quantize_requantized(model, exclude=exact)
    elif precision.weight_bits == 4:
        quantize_q4(model, block_size=block_size, method=method, wide=wide, exclude=exact, hessians=hessians)
    if precision.weight_bits <= 8:
        quantize_embeddings(model, embedding_bits if precision.weight_bits == 4 else 8)
    return kept
