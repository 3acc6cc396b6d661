"""Quantizes embedding tables row by row: one scale per token, in standard operators that run everywhere.

In float32 the table of Qwen3-Reranker-0.6B alone takes 621 MB.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.quantize.methods import METHODS
from onnxrank.quantize.shared_result import SharedResult
from onnxrank.quantize.weights import (
    WeightedNode,
    drop_unused_weights,
    embedding_gathers,
    initializer,
    lazy,
    replace,
    small_floats,
)

SLICE_ROWS = 8192
BLOCK_SIZE = 32


def quantize_embeddings(model: ir.Model, bits: int = 8) -> int:
    """Quantize every Gather from a constant float table, in place; return how many there were.

    bits: 8 or 4, for the largest table, which is the tokens', if its rows consist of whole blocks. Other tables get 8.
    """
    gathers = list(embedding_gathers(model))
    largest = max((found.shape[0] for found in gathers), default=0)
    for found in gathers:
        small = bits == 4 and found.shape[0] == largest and found.shape[1] % BLOCK_SIZE == 0
        replace(model, found.node, (_gather_blocks if small else _gather_rows)(model, found))
    drop_unused_weights(model)
    return len(gathers)


def _gather_rows(model: ir.Model, found: WeightedNode) -> list[ir.Node]:
    name, shape, ids = found.name, found.shape, found.node.inputs[1]
    result = SharedResult(lambda: quantize_rows(found.values()), readers=2)
    rows = lazy(f"{name}.int8", ir.DataType.INT8, shape, lambda: result.read()[0])
    scales = lazy(f"{name}.scales", found.dtype, (shape[0], 1), lambda: result.read()[1].astype(found.dtype.numpy()))
    row = ir.node("Gather", [initializer(model, f"{name}.int8", rows), ids], {"axis": 0})
    scale = ir.node("Gather", [initializer(model, f"{name}.scales", scales), ids], {"axis": 0})
    cast = ir.node("Cast", [row.outputs[0]], {"to": found.dtype})
    for node, part in ((row, "row"), (scale, "row_scale"), (cast, "row_float")):
        node.outputs[0].name = node.name = f"{name}.{part}"
    return [row, scale, cast, ir.node("Mul", [cast.outputs[0], scale.outputs[0]], name=found.node.name)]


def _gather_blocks(model: ir.Model, found: WeightedNode) -> list[ir.Node]:
    """Gather bytes, then look up the two numbers in each byte, because WebGPU has no bitwise operators."""
    name, (tokens, width), ids = found.name, found.shape, found.node.inputs[1]
    blocks = width // BLOCK_SIZE
    result = SharedResult(lambda: quantize_blocks(found.values()), readers=2)
    packed = lazy(f"{name}.q4", ir.DataType.UINT8, (tokens, width // 2), lambda: result.read()[0])
    nodes: list[ir.Node] = []
    scales = small_floats(model, nodes, f"{name}.scales", found.dtype, (tokens, blocks, 1), lambda: result.read()[1])
    numbers = ((np.arange(256)[:, None] >> [0, 4]) & 15).astype(found.dtype.numpy()) - 8
    pairs = initializer(model, f"{name}.pairs", ir.tensor(numbers, name=f"{name}.pairs"))

    row = ir.node("Gather", [initializer(model, f"{name}.q4", packed), ids], {"axis": 0})
    index = ir.node("Cast", [row.outputs[0]], {"to": ir.DataType.INT32})
    pair = ir.node("Gather", [pairs, index.outputs[0]], {"axis": 0})
    block = ir.node("Reshape", [pair.outputs[0], _shape(model, f"{name}.blocks", 0, 0, blocks, BLOCK_SIZE)])
    scale = ir.node("Gather", [scales, ids], {"axis": 0})
    product = ir.node("Mul", [block.outputs[0], scale.outputs[0]])
    for node, part in (
        (row, "row"), (index, "index"), (pair, "pair"), (block, "block"), (scale, "row_scale"), (product, "product")
    ):  # fmt: skip
        node.outputs[0].name = node.name = f"{name}.{part}"
        nodes.append(node)
    return [
        *nodes,
        ir.node("Reshape", [product.outputs[0], _shape(model, f"{name}.row_shape", 0, 0, -1)], name=found.node.name),
    ]


def _shape(model: ir.Model, name: str, *sizes: int) -> ir.Value:
    return initializer(model, name, ir.tensor(np.array(sizes, np.int64), name=name))


def quantize_rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 [rows, n] and scales [rows, 1] of a table: symmetric, abs-max over each row."""
    quantized = np.empty(table.shape, np.int8)
    scales = np.empty((len(table), 1), np.float32)
    # In slices, because temporaries for the whole table would need several times its memory.
    for start in range(0, len(table), SLICE_ROWS):
        rows = table[start : start + SLICE_ROWS]
        scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
        scale[scale == 0] = 1
        quantized[start : start + SLICE_ROWS] = np.rint(rows / scale)
        scales[start : start + SLICE_ROWS] = scale
    return quantized, scales


def quantize_blocks(table: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a table's 4-bit numbers, two per byte, low half first, [rows, bytes], and scales [rows, blocks, 1]:
    symmetric, over BLOCK_SIZE columns each."""
    parts = [
        METHODS["rtn"].quantize(table[start : start + SLICE_ROWS].T, BLOCK_SIZE, None)
        for start in range(0, len(table), SLICE_ROWS)
    ]
    packed = np.concatenate([part.packed for part in parts]).reshape(len(table), -1)
    return packed, np.concatenate([part.scales for part in parts])[..., None]
