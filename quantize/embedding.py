"""Row-wise int8 embedding tables: one scale per token, in plain ops that run everywhere.

Left in float32, the table alone is 621 MB of Qwen3-Reranker-0.6B.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.quantize.once import Once
from onnxrank.quantize.weights import (
    WeightedNode,
    drop_unused_weights,
    embedding_gathers,
    initializer,
    lazy,
    replace,
)

SLICE_ROWS = 8192


def quantize_embeddings(model: ir.Model) -> int:
    """Quantize every Gather from a constant float table, in place; return how many there were."""
    count = 0
    for found in embedding_gathers(model):
        replace(model, found.node, _gather(model, found))
        count += 1
    drop_unused_weights(model)
    return count


def _gather(model: ir.Model, found: WeightedNode) -> list[ir.Node]:
    name, shape, ids = found.name, found.shape, found.node.inputs[1]
    once = Once(lambda: quantize_rows(found.values()), readers=2)
    rows = lazy(f"{name}.int8", ir.DataType.INT8, shape, lambda: once.read()[0])
    scales = lazy(f"{name}.scales", found.dtype, (shape[0], 1), lambda: once.read()[1].astype(found.dtype.numpy()))
    row = ir.node("Gather", [initializer(model, f"{name}.int8", rows), ids], {"axis": 0})
    scale = ir.node("Gather", [initializer(model, f"{name}.scales", scales), ids], {"axis": 0})
    cast = ir.node("Cast", [row.outputs[0]], {"to": found.dtype})
    for node, part in ((row, "row"), (scale, "row_scale"), (cast, "row_float")):
        node.outputs[0].name = node.name = f"{name}.{part}"
    return [row, scale, cast, ir.node("Mul", [cast.outputs[0], scale.outputs[0]], name=found.node.name)]


def quantize_rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 [rows, n] and scales [rows, 1] of a table: symmetric, abs-max over each row."""
    quantized = np.empty(table.shape, np.int8)
    scales = np.empty((len(table), 1), np.float32)
    # In slices: whole-table temporaries would need several times the largest tensor's memory.
    for start in range(0, len(table), SLICE_ROWS):
        rows = table[start : start + SLICE_ROWS]
        scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
        scale[scale == 0] = 1
        quantized[start : start + SLICE_ROWS] = np.rint(rows / scale)
        scales[start : start + SLICE_ROWS] = scale
    return quantized, scales
