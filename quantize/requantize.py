"""4-bit weights at int8's speed on CPUs: they are requantized to int8 when the session is created.

MatMulNBits is optimised for one token; with the many tokens of a prompt it reaches a third of int8's speed. So the
prefix graph multiplies in int8, like that of the int8 variant, and its weights are external initializers that are in no
file: the requantize graph computes them from the 4-bit weights. The error of a value is at most 1/254 of the largest
magnitude in its column.
"""

import math
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.tape import Tape

from onnxrank.engine.requantized import ALIGNED
from onnxrank.quantize.int8 import SMALLEST_ABSMAX, quantize_int8
from onnxrank.quantize.weights import MICROSOFT, Exclude, WeightedNode, static_shape

# The largest magnitude of a value, by its bits.
FURTHEST = {4: 8.0, 8: 127.0}
# The external file that the prefix graph names for its int8 weights. It does not exist: the session gets the weights
# by name or, in JavaScript, as the file's content.
LOCATION = "requantized_at_load"


def quantize_requantized(model: ir.Model, *, exclude: Exclude = None) -> int:
    """Quantize every MatMul with a constant [K, N] weight as `quantize_int8` does, in place, but leave the weights to
    the graph of `requantize_graph`; return how many there were."""
    count = quantize_int8(model, exclude=exclude, weights=_external)
    offset = 0
    for name, value in sorted(model.graph.initializers.items()):
        tensor = value.const_value
        if tensor is not None and computed_at_load(tensor):
            value.const_value = _initializer_at_load(name, tensor.dtype, static_shape(tensor), offset)
            offset += -(-tensor.nbytes // ALIGNED) * ALIGNED
    return count


def requantize_graph(model: ir.Model) -> ir.Model:
    """Return a graph without inputs whose outputs are, for each matrix of a saved 4-bit model, int8 [K, N] and its
    scales, float32 [N], with the names that `quantize_requantized` gave them, in the order of its offsets."""
    requantizer = _Requantizer()
    for node in model.graph.all_nodes():
        if node.op_type == "MatMulNBits" and node.domain == MICROSOFT:
            requantizer.add(node)
    return requantizer.model(model)


def computed_at_load(tensor: ir.TensorProtocol) -> bool:
    """Whether a weight is computed at load and so has no values to save."""
    return isinstance(tensor, ir.ExternalTensor) and tensor.location == LOCATION


def _external(found: WeightedNode) -> tuple[ir.TensorProtocol, ir.TensorProtocol]:
    name, (rows, columns) = found.name, found.shape
    values = _initializer_at_load(_values(name), ir.DataType.INT8, [rows, columns])
    return values, _initializer_at_load(_scales(name), ir.DataType.FLOAT, [columns])


def _initializer_at_load(name: str, dtype: ir.DataType, shape: Sequence[int], offset: int = 0) -> ir.ExternalTensor:
    length = math.prod(shape) * dtype.itemsize
    return ir.ExternalTensor(LOCATION, offset, int(length), dtype, shape=ir.Shape(shape), name=name)


def _values(name: str) -> str:
    return f"{name}.requantized"


def _scales(name: str) -> str:
    return f"{name}.channel_scales"


class _Requantizer:
    """Appends the requantization of matrices, one at a time."""

    def __init__(self) -> None:
        self._tape = Tape()
        self._constants: dict[str, ir.Value] = {}
        self._outputs: list[ir.Value] = []

    def add(self, node: ir.Node) -> None:
        """Append the requantization of a MatMulNBits node's matrix."""
        op = self._tape.op
        rows, columns, block_size, bits = (node.attributes[name].as_int() for name in ("K", "N", "block_size", "bits"))
        packed, steps, *points = node.inputs[1:]
        assert packed is not None and steps is not None
        blocks = -(-rows // block_size)
        stored = self._initializer(_retyped(packed, bits, [columns, blocks * block_size]))
        step = self._float(steps)
        blocked = {"axis": 1, "block_size": block_size}
        if points and points[0] is not None:
            zero = self._points(points[0], blocks)
            values = op("DequantizeLinear", [stored, step], blocked)
            values = op("Reshape", [values, self._constant([0, blocks, block_size])])
            values = op("Sub", [values, op("Unsqueeze", [op("Mul", [step, zero]), self._constant([-1])])])
            values = op("Reshape", [values, self._constant([0, -1])])
            furthest = op("Max", [zero, op("Sub", [self._constant(15.0), zero])])
        else:
            values = op("DequantizeLinear", [stored, step, self._middle(columns, blocks, bits)], blocked)
            furthest = self._constant(FURTHEST[bits])
        limit = op("Mul", [op("Abs", [step]), furthest])
        largest = op("ReduceMax", [limit, self._constant([1])], {"keepdims": 0})
        bounded = op("Max", [largest, self._constant(SMALLEST_ABSMAX)])
        scales = op("Mul", [bounded, self._constant(1 / 127)])
        quantized = op("QuantizeLinear", [values, scales], {"axis": 0, "output_dtype": ir.DataType.INT8})
        matrix = op("Transpose", [quantized], {"perm": [1, 0]})
        if rows != blocks * block_size:
            matrix = op("Slice", [matrix, self._constant([0]), self._constant([rows])])
        name = str(packed.name).removesuffix(f".q{bits}")
        self._output(matrix, _values(name), ir.DataType.INT8, [rows, columns])
        self._output(scales, _scales(name), ir.DataType.FLOAT, [columns])

    def model(self, like: ir.Model) -> ir.Model:
        """Return the finished graph, with the opsets of `like`."""
        graph = ir.Graph(
            [],
            sorted(self._outputs, key=lambda output: str(output.name)),
            nodes=self._tape.nodes,
            initializers=self._tape.initializers,
            opset_imports=dict(like.graph.opset_imports),
            name="requantize",
        )
        return ir.Model(graph, ir_version=like.ir_version, producer_name=like.producer_name)

    def _float(self, value: ir.Value) -> ir.Value:
        """Return a constant as float32; the 4-bit graph stores it as float16 and casts it."""
        cast = value.producer()
        stored = cast.inputs[0] if cast else value
        assert stored is not None and stored.const_value is not None
        return self._tape.op("Cast", [self._initializer(stored.const_value)], {"to": ir.DataType.FLOAT})

    def _points(self, value: ir.Value, blocks: int) -> ir.Value:
        """Return zero points as float32 [columns, blocks]."""
        if value.producer():
            return self._float(value)
        assert value.const_value is not None
        columns, pairs = static_shape(value.const_value)
        four_bit = self._initializer(_retyped(value, 4, [columns, 2 * pairs]))
        found = self._tape.op("Cast", [four_bit], {"to": ir.DataType.FLOAT})
        if blocks == 2 * pairs:
            return found
        ends = [self._constant([end]) for end in (0, blocks, 1)]
        return self._tape.op("Slice", [found, *ends])

    def _middle(self, columns: int, blocks: int, bits: int) -> ir.Value:
        """Return half of the range as the zero point of every block."""
        name = f"middle_{bits}_{columns}_{blocks}"
        if bits == 8:
            return self._initializer(ir.tensor(np.full((columns, blocks), 128, np.uint8), name=name))
        eights = np.full(-(-columns * blocks // 2), 0x88, np.uint8)
        return self._initializer(_four_bit(eights, [columns, blocks], name))

    def _constant(self, value: float | list[int]) -> ir.Value:
        array = np.array(value, np.float32 if isinstance(value, float) else np.int64)
        return self._initializer(ir.tensor(array, name=f"constant_{value}"))

    def _initializer(self, tensor: ir.TensorProtocol) -> ir.Value:
        name = str(tensor.name)
        if name not in self._constants:
            self._constants[name] = self._tape.initializer(tensor, name=name)
        return self._constants[name]

    def _output(self, value: ir.Value, name: str, dtype: ir.DataType, shape: list[int]) -> None:
        value.name, value.type, value.shape = name, ir.TensorType(dtype), ir.Shape(shape)
        self._outputs.append(value)


def _retyped(value: ir.Value, bits: int, shape: list[int]) -> ir.TensorProtocol:
    """Return the same bytes in another shape, as UINT4 if there are 4 bits a value: like MatMulNBits, it has two values
    per byte, the first in the low half."""
    stored = value.const_value
    assert stored is not None
    if isinstance(stored, ir.ExternalTensor):
        return ir.ExternalTensor(
            stored.location,
            stored.offset,
            stored.length,
            ir.DataType.UINT4 if bits == 4 else ir.DataType.UINT8,
            shape=ir.Shape(shape),
            name=str(stored.name),
            base_dir=stored.base_dir,
        )
    name = str(stored.name)
    if bits == 8:
        return ir.tensor(stored.numpy().reshape(shape), name=name)
    return _four_bit(stored.numpy().reshape(-1), shape, name)


def _four_bit(pairs: NDArray[np.uint8], shape: list[int], name: str) -> ir.TensorProtocol:
    return ir.PackedTensor(pairs, ir.DataType.UINT4, shape=ir.Shape(shape), name=name)
