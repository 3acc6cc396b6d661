"""Spreads the outliers of feed-forward layers over their neighbours, so that 8 bits a token lose less.

What enters the last matrix of a feed-forward layer comes from an elementwise product or activation, through which no
rotation can be folded. So the graph multiplies it by Hadamard blocks, and the matrix has the inverse.
"""

from functools import partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.rotate import change_weight, rotation
from onnxrank.quantize.weights import Exclude, constant_matmuls, initializer

# Larger blocks take longer and spread hardly further.
BLOCK = 32
# The name of the Hadamard matrix, which is not to be quantized.
HADAMARD = "hadamard"
SHAPE = "hadamard_blocks"
ACTIVATIONS = {"Mul", "Gelu", "BiasGelu", "FastGelu", "QuickGelu", "Relu"}


def spread(model: ir.Model, hessians: Hessians, *, exclude: Exclude = None) -> int:
    """Multiply the inputs of matrices behind an activation by Hadamard blocks, in place; return how many there were.

    hessians: follows the weights into the new basis. Weights whose name starts with `exclude` are not changed.
    """
    matrix = rotation(BLOCK)
    count = 0
    for found in constant_matmuls(model, exclude):
        x = found.node.inputs[0]
        source = x.producer() if x is not None else None
        if x is None or source is None or source.op_type not in ACTIVATIONS or found.shape[0] % BLOCK:
            continue
        found.node.replace_input_with(0, _multiply(model, found.node, x, matrix))
        change_weight(found.weight, partial(_back, matrix))
        hessians.change_basis(found.name, partial(_back, matrix))
        count += 1
    return count


def _multiply(model: ir.Model, before: ir.Node, x: ir.Value, matrix: NDArray[np.float64]) -> ir.Value:
    """Insert nodes before `before` that multiply the blocks of x by the matrix; return the result."""
    blocks = np.array([-1, BLOCK], np.int64)
    nodes = [
        ir.node("Shape", [x]),
        ir.node("Reshape", [x, initializer(model, SHAPE, ir.tensor(blocks, name=SHAPE))]),
    ]
    hadamard = initializer(model, HADAMARD, ir.tensor(matrix.astype(np.float32), name=HADAMARD))
    nodes.append(ir.node("MatMul", [nodes[1].outputs[0], hadamard]))
    nodes.append(ir.node("Reshape", [nodes[2].outputs[0], nodes[0].outputs[0]]))
    for node, part in zip(nodes, ("shape", "blocks", "spread_blocks", "spread"), strict=True):
        node.outputs[0].name = node.name = f"{x.name}.{part}"
    model.graph.insert_before(before, nodes)
    return nodes[-1].outputs[0]


def _back(matrix: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply blocks of rows, of [K, N], by the inverse of the rotation."""
    blocks: NDArray[np.float64] = matrix.T @ values.reshape(-1, BLOCK, values.shape[1])
    return blocks.reshape(values.shape)
