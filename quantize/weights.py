"""Finds the constant weights of a graph and replaces nodes; shared by all passes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

MICROSOFT = "com.microsoft"
# The start of names, or several.
Exclude = str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedNode:
    """A node, its constant weight, and the weight's name."""

    node: ir.Node
    weight: ir.Value
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        assert self.weight.const_value is not None
        return static_shape(self.weight.const_value)

    @property
    def dtype(self) -> ir.DataType:
        assert self.weight.const_value is not None
        return self.weight.const_value.dtype

    def values(self) -> NDArray[np.float32]:
        """Read the weight, as float32."""
        assert self.weight.const_value is not None
        return self.weight.const_value.numpy().astype(np.float32, copy=False)


def constant_matmuls(model: ir.Model, exclude: Exclude) -> Iterator[WeightedNode]:
    """Yield `MatMul(x, constant [K, N])`, except for weights whose name starts with `exclude`."""
    for node in list(model.graph):
        if node.op_type == "MatMul" and node.domain == "":
            weight = node.inputs[1]
            excluded = weight is None or (exclude and str(weight.name).startswith(exclude))
            if weight is not None and not excluded and _is_float_matrix(weight):
                yield WeightedNode(node=node, weight=weight, name=str(weight.name))


def embedding_gathers(model: ir.Model) -> Iterator[WeightedNode]:
    """Yield `Gather(constant [rows, N], ids)` along axis 0."""
    for node in list(model.graph):
        if node.op_type == "Gather" and node.domain == "":
            table, axis = node.inputs[0], node.attributes.get("axis")
            if table is not None and _is_float_matrix(table) and (axis is None or axis.as_int() == 0):
                yield WeightedNode(node=node, weight=table, name=str(table.name))


def static_shape(tensor: ir.TensorProtocol) -> tuple[int, ...]:
    """Return the shape of a constant."""
    return tuple(n for n in tensor.shape if isinstance(n, int))


def lazy(name: str, dtype: ir.DataType, shape: tuple[int, ...], make: Callable[[], NDArray[Any]]) -> ir.LazyTensor:
    """Return a tensor whose values `make` computes when they are saved."""
    return ir.LazyTensor(lambda: ir.Tensor(make(), dtype=dtype, name=name), dtype, ir.Shape(shape), name=name)


def initializer(model: ir.Model, name: str, tensor: ir.TensorProtocol) -> ir.Value:
    """Return the initializer called `name`; create it from `tensor` if it does not exist yet."""
    if name not in model.graph.initializers:
        value = ir.Value(
            name=name, type=ir.TensorType(tensor.dtype), shape=ir.Shape(static_shape(tensor)), const_value=tensor
        )
        model.graph.initializers[name] = value
    return model.graph.initializers[name]


def small_floats(
    model: ir.Model,
    nodes: list[ir.Node],
    name: str,
    dtype: ir.DataType,
    shape: tuple[int, ...],
    make: Callable[[], NDArray[Any]],
) -> ir.Value:
    """Return a float constant that is stored as float16 to save space; a cast to float32 is folded at load."""
    stored = initializer(model, name, lazy(name, ir.DataType.FLOAT16, shape, lambda: make().astype(np.float16)))
    if dtype == ir.DataType.FLOAT16:
        return stored
    cast = ir.node("Cast", [stored], {"to": dtype}, name=f"{name}.float32")
    cast.outputs[0].name = cast.name
    nodes.append(cast)
    return cast.outputs[0]


def scalar(model: ir.Model, name: str, value: float, dtype: ir.DataType) -> ir.Value:
    """Return a scalar initializer called `name`."""
    return initializer(model, name, ir.tensor(np.array(value, dtype.numpy()), name=name))


def replace(model: ir.Model, old: ir.Node, new: list[ir.Node]) -> None:
    """Replace `old` by the nodes `new`, the last of which has the output of `old`."""
    before, after = old.outputs[0], new[-1].outputs[0]
    after.name, after.type, after.shape = before.name, before.type, before.shape
    if before.is_graph_output():
        outputs = model.graph.outputs
        outputs[outputs.index(before)] = after
    before.replace_all_uses_with(after)
    before.name = None
    model.graph.insert_before(old, new)
    model.graph.remove(old, safe=True)


def drop_unused_weights(model: ir.Model) -> None:
    """Remove initializers that no node reads."""
    for name, value in list(model.graph.initializers.items()):
        if not value.uses():
            del model.graph.initializers[name]


def _is_float_matrix(value: ir.Value) -> bool:
    tensor = value.const_value
    return (
        value.is_initializer()
        and tensor is not None
        and len(tensor.shape) == 2
        and tensor.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16)
    )
