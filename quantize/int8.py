"""Dynamic int8: one activation scale per token, one weight scale per output channel.

The usual dynamic quantization has one activation scale for the whole batch, which makes a document's score depend
on its neighbours. Activations are unsigned with zero point 128, because x86 multiplies unsigned by signed bytes.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.rounding import rounded
from onnxrank.quantize.shared_result import SharedResult
from onnxrank.quantize.weights import (
    MICROSOFT,
    Exclude,
    WeightedNode,
    constant_matmuls,
    drop_unused_weights,
    initializer,
    lazy,
    replace,
    scalar,
)

# Keeps the scale of an all-zero token finite.
SMALLEST_ABSMAX = 1e-8


Weights = Callable[[WeightedNode], tuple[ir.TensorProtocol, ir.TensorProtocol]]


def stored(hessians: Hessians, found: WeightedNode) -> tuple[ir.TensorProtocol, ir.TensorProtocol]:
    """Return the weight in int8 [K, N] and its scales, float32 [N]; both are computed when they are saved."""
    name, (rows, columns) = found.name, found.shape
    result = SharedResult(lambda: quantize_channels(found.values(), hessians.of(name)), readers=2)
    values = lazy(f"{name}.int8", ir.DataType.INT8, (rows, columns), lambda: result.read()[0])
    return values, lazy(f"{name}.scales", ir.DataType.FLOAT, (columns,), lambda: result.read()[1])


def quantize_int8(
    model: ir.Model, *, exclude: Exclude = None, hessians: Hessians | None = None, weights: Weights | None = None
) -> int:
    """Quantize every MatMul with a constant [K, N] weight, in place; return how many there were.

    hessians: decide how weights are rounded; without one, to nearest. weights: returns the int8 tensor [K, N] of a
    weight and its scales, float32 [N]; by default what is stored in files.
    """
    weights = weights or partial(stored, hessians or Hessians())
    tokens: dict[ir.Value, tuple[ir.Value, ir.Value]] = {}
    count = 0
    for found in constant_matmuls(model, exclude):
        x = found.node.inputs[0]
        assert x is not None
        # An activation that several matrices read is quantized once.
        if x not in tokens:
            tokens[x] = _quantize_tokens(model, found.node, x)
        replace(model, found.node, _multiply(model, found, weights(found), *tokens[x]))
        count += 1
    drop_unused_weights(model)
    return count


def quantize_channels(
    weight: NDArray[np.float32],
    hessian: NDArray[np.float64] | None = None,
    *,
    stored_in: type[np.floating] = np.float32,
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 [K, N] and scales [N] of a [K, N] weight: symmetric, abs-max over each column.

    hessian: of its inputs, [K, K]; None to round to nearest. stored_in: the type of whose values the scales are.
    """
    largest = np.maximum(np.abs(weight).max(axis=0), SMALLEST_ABSMAX)
    scales = (largest / np.float32(127)).astype(stored_in).astype(np.float32)
    return rounded(weight, scales, -127, 127, hessian), scales


def _quantize_tokens(model: ir.Model, before: ir.Node, x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Insert nodes before `before` that compute uint8 x and its scale, [..., 1]."""
    axis = initializer(model, "last_axis", ir.tensor(np.array([-1], np.int64), name="last_axis"))
    smallest = scalar(model, "smallest_absmax", SMALLEST_ABSMAX, ir.DataType.FLOAT)
    per_step = scalar(model, "one_127th", 1 / 127, ir.DataType.FLOAT)
    one, zero_point = _one(model), _zero_point(model)
    absolute = ir.node("Abs", [x])
    largest = ir.node("ReduceMax", [absolute.outputs[0], axis], {"keepdims": 1})
    bounded = ir.node("Max", [largest.outputs[0], smallest])
    scale = ir.node("Mul", [bounded.outputs[0], per_step])
    scaled = ir.node("Div", [x, scale.outputs[0]])
    # With x already scaled, a per-tensor QuantizeLinear is enough, which is twice as fast as the blocked one.
    quantized = ir.node("QuantizeLinear", [scaled.outputs[0], one, zero_point])
    nodes = [absolute, largest, bounded, scale, scaled, quantized]
    for node, part in zip(nodes, ("abs", "absmax", "bounded", "scale", "scaled", "uint8"), strict=True):
        node.outputs[0].name = node.name = f"{x.name}.{part}"
    model.graph.insert_before(before, nodes)
    return quantized.outputs[0], scale.outputs[0]


def _multiply(
    model: ir.Model,
    found: WeightedNode,
    weight: tuple[ir.TensorProtocol, ir.TensorProtocol],
    x: ir.Value,
    scale: ir.Value,
) -> list[ir.Node]:
    values, scales = (initializer(model, str(tensor.name), tensor) for tensor in weight)
    product = ir.node(
        "MatMulIntegerToFloat",
        [x, values, _one(model), scales, _zero_point(model)],
        domain=MICROSOFT,
        name=f"{found.node.name}.int8",
    )
    product.outputs[0].name = product.name
    return [product, ir.node("Mul", [product.outputs[0], scale], name=found.node.name)]


def _one(model: ir.Model) -> ir.Value:
    return scalar(model, "unit_scale", 1.0, ir.DataType.FLOAT)


def _zero_point(model: ir.Model) -> ir.Value:
    return scalar(model, "uint8_zero_point", 128, ir.DataType.UINT8)
