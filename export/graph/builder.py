"""Builds an ONNX graph op by op; weights are read only when the graph is saved."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.tape import Tape

# What ONNX Runtime 1.30 (Transformers.js 4.3) loads.
OPSET = 21
IR_VERSION = 10
MICROSOFT = "com.microsoft"
# Smaller tensors stay inside the graph file.
INLINE_BYTES = 1024

Dimension = int | str


class GraphBuilder:
    """Collects inputs, weights and nodes; `model` finishes the graph."""

    def __init__(self) -> None:
        self._tape = Tape()
        self._nodes = self._tape
        self._numbers = count()
        self._inputs: list[ir.Value] = []
        self._weights: dict[str, ir.Value] = {}

    def input(self, name: str, dtype: ir.DataType, shape: Sequence[Dimension]) -> ir.Value:
        """Declare a graph input."""
        value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
        self._inputs.append(value)
        return value

    def op(self, op_type: str, *inputs: ir.Value | None, name: str | None = None, **attributes: Any) -> ir.Value:
        """Append a standard ONNX node with one output, called `name`."""
        return self._append("", op_type, inputs, [name], attributes)[0]

    def contrib(
        self, op_type: str, *inputs: ir.Value | None, outputs: Sequence[str | None], **attributes: Any
    ) -> Sequence[ir.Value]:
        """Append a com.microsoft node; outputs called None are omitted."""
        return self._append(MICROSOFT, op_type, inputs, outputs, attributes)

    def split(self, x: ir.Value, parts: int, width: int, name: str) -> Sequence[ir.Value]:
        """Split the last axis into `parts` pieces of `width`."""
        return self.split_at(x, self.constant([width] * parts, f"{parts}_times_{width}"), parts, name)

    def split_at(self, x: ir.Value, sizes: ir.Value, parts: int, name: str) -> Sequence[ir.Value]:
        """Split the last axis into `parts` pieces of these sizes, int64 [parts]."""
        return self._append("", "Split", [x, sizes], [f"{name}.{i}" for i in range(parts)], {"axis": -1})

    def choose(
        self,
        condition: ir.Value,
        then: Callable[[], Mapping[str, ir.Value]],
        otherwise: Callable[[], Mapping[str, ir.Value]],
        name: str,
    ) -> Mapping[str, ir.Value]:
        """Append an If node: if the condition, bool [1], is true, the nodes of `then` run, else those of `otherwise`.

        Both return float32 values under the same keys, which are the result's.
        """
        branches = [self._branch(make, f"{name}.{part}") for make, part in ((then, "then"), (otherwise, "else"))]
        keys = list(branches[0][1])
        attributes = {f"{part}_branch": graph for (graph, _), part in zip(branches, ("then", "else"), strict=True)}
        values = self._append("", "If", [condition], [f"{name}.{key}" for key in keys], attributes)
        return dict(zip(keys, values, strict=True))

    def constant(self, value: NDArray[Any] | int | float | Sequence[int], name: str) -> ir.Value:
        """Return a small constant: ints become int64, floats float32. A name has one value."""
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        return self._initializer(name, lambda: ir.tensor(array, name=name))

    def weight(self, name: str, shape: Sequence[int], read: Callable[[], NDArray[np.float32]]) -> ir.Value:
        """Return a float32 weight whose values `read` returns when they are needed."""
        evaluate = partial(_evaluate, name, tuple(shape), read)
        tensor = ir.LazyTensor(evaluate, ir.DataType.FLOAT, ir.Shape(shape), name=name)
        return self._initializer(name, lambda: tensor)

    def model(self, outputs: Mapping[str, tuple[ir.Value, ir.DataType, Sequence[Dimension]]]) -> ir.Model:
        """Return the finished model with the named outputs."""
        for name, (value, dtype, shape) in outputs.items():
            value.name, value.type, value.shape = name, ir.TensorType(dtype), ir.Shape(shape)
        graph = ir.Graph(
            self._inputs,
            [value for value, _, _ in outputs.values()],
            nodes=self._tape.nodes,
            initializers=self._tape.initializers,
            opset_imports={"": OPSET, MICROSOFT: 1},
            name="reranker",
        )
        return ir.Model(graph, ir_version=IR_VERSION, producer_name="onnxrank")

    def prepend(self, model: ir.Model, replacing: Mapping[str, ir.Value]) -> None:
        """Insert the built nodes in front of another model; `replacing` maps its inputs to their new values."""
        graph = model.graph
        for value in graph.inputs:
            value.replace_all_uses_with(replacing[str(value.name)])
        graph.inputs[:] = self._inputs
        for value in self._tape.initializers:
            graph.initializers[str(value.name)] = value
        graph.insert_before(graph[0], self._tape.nodes)

    def _branch(self, make: Callable[[], Mapping[str, ir.Value]], name: str) -> tuple[ir.Graph, Mapping[str, ir.Value]]:
        outside, self._nodes = self._nodes, Tape()
        try:
            found = make()
            for value in found.values():
                value.type = ir.TensorType(ir.DataType.FLOAT)
            return ir.Graph([], list(found.values()), nodes=self._nodes.nodes, name=name), found
        finally:
            self._nodes = outside

    def _append(
        self,
        domain: str,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        names: Sequence[str | None],
        attributes: Mapping[str, Any],
    ) -> Sequence[ir.Value]:
        # ONNX Runtime's optimizers crash on a missing optional input at the end, so it is removed.
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        # An empty name means an omitted output. Outputs without a name are numbered here, because onnx_ir numbers each
        # branch from the start.
        outputs = [ir.Value(name=f"unnamed_{next(self._numbers)}" if name is None else name) for name in names]
        return self._nodes.op_multi_out(op_type, inputs, attributes, outputs=outputs, domain=domain, name=names[0])

    def _initializer(self, name: str, make: Callable[[], ir.TensorProtocol]) -> ir.Value:
        if name not in self._weights:
            self._weights[name] = self._tape.initializer(make(), name=name)
        return self._weights[name]


def _evaluate(name: str, shape: tuple[int, ...], read: Callable[[], NDArray[np.float32]]) -> ir.TensorProtocol:
    value = np.ascontiguousarray(read(), np.float32)
    assert value.shape == shape, f"{name} was declared {shape} and is {value.shape}"
    return ir.Tensor(value, name=name)
