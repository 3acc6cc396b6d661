"""float16 weights and matrix arithmetic, for GPUs and browsers.

Three things stay in float32, because a large activation would overflow float16 there: the residual stream, the
norms that read it (attention's softmax scale acts on their output), and the score head.
"""

import numpy as np
import onnx_ir as ir

from onnxrank.quantize.weights import (
    Exclude,
    WeightedNode,
    drop_unused_weights,
    embedding_gathers,
    initializer,
    lazy,
    static_shape,
)

HALF_OPS = {"MatMul", "GroupQueryAttention", "MultiHeadAttention", "QuickGelu", "RotaryEmbedding"}
WHOLE_OPS = {"SkipSimplifiedLayerNormalization", "SkipLayerNormalization", "LayerNormalization"}
# Operators whose output type is fixed. All others compute in the type of their first float input.
TYPED_OPS = {
    "Shape": ir.DataType.INT64, "ArgMax": ir.DataType.INT64, "Equal": ir.DataType.BOOL, "Or": ir.DataType.BOOL,
    "And": ir.DataType.BOOL, "Not": ir.DataType.BOOL, "LessOrEqual": ir.DataType.BOOL,
    "GreaterOrEqual": ir.DataType.BOOL, "Less": ir.DataType.BOOL, "Greater": ir.DataType.BOOL,
}  # fmt: skip
HALF_SUFFIX = ".float16"
KEPT = ("residual stream", "layer norms", "score head")

FLOAT, FLOAT16 = ir.DataType.FLOAT, ir.DataType.FLOAT16


def convert_float16(model: ir.Model, *, exclude: Exclude = None) -> tuple[str, ...]:
    """Convert the graph in place, except MatMuls whose weight name starts with `exclude`.

    Returns what was kept in float32. Inputs and outputs of a KV cache become float16, `logits` stays float32.
    """
    converter = _Converter(model)
    for found in list(embedding_gathers(model)):
        converter.embed(found)
    for node in list(model.graph):
        weight = node.inputs[1] if node.op_type == "MatMul" else None
        if node.op_type in WHOLE_OPS or (weight is not None and exclude and str(weight.name).startswith(exclude)):
            converter.convert(node, FLOAT)
        elif node.op_type in HALF_OPS:
            converter.convert(node, FLOAT16)
        elif node.op_type == "Cast":
            converter.note(node, ir.DataType(node.attributes["to"].as_int()))
        elif node.op_type in TYPED_OPS:
            converter.note(node, TYPED_OPS[node.op_type])
        elif dtype := converter.float_type(node):
            converter.convert(node, dtype)
        else:
            converter.note(node, converter.dtype(node.inputs[0]))
    converter.settle_outputs()
    drop_unused_weights(model)
    return KEPT


class _Converter:
    """Tracks each value's type, and inserts casts between types."""

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._dtypes: dict[ir.Value, ir.DataType] = {}
        self._casts: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}

    def dtype(self, value: ir.Value | None) -> ir.DataType | None:
        if value is None:
            return None
        if value.const_value is not None:
            return value.const_value.dtype
        return self._dtypes.get(value, value.dtype)

    def embed(self, found: WeightedNode) -> None:
        """Store an embedding table as float16; the residual stream after it is float32."""
        found.node.replace_input_with(0, self._half(found.weight))
        output = found.node.outputs[0]
        cast = ir.node("Cast", [output], {"to": FLOAT}, name=f"{output.name}.float32")
        cast.outputs[0].name = cast.name
        output.replace_all_uses_with(cast.outputs[0])
        cast.replace_input_with(0, output)
        self._model.graph.insert_after(found.node, cast)

    def convert(self, node: ir.Node, dtype: ir.DataType) -> None:
        """Convert every float input of `node`, and so its outputs, to `dtype`."""
        for i, value in enumerate(node.inputs):
            if value is not None and self.dtype(value) in (FLOAT, FLOAT16) and self.dtype(value) != dtype:
                node.replace_input_with(i, self._as(value, dtype, node))
        for output in node.outputs:
            self._dtypes[output] = dtype

    def float_type(self, node: ir.Node) -> ir.DataType | None:
        """Return the type of the first float input."""
        types = (self.dtype(value) for value in node.inputs)
        return next((dtype for dtype in types if dtype in (FLOAT, FLOAT16)), None)

    def note(self, node: ir.Node, dtype: ir.DataType | None) -> None:
        """Record the output type of an unchanged node."""
        if dtype is not None:
            for output in node.outputs:
                self._dtypes[output] = dtype

    def settle_outputs(self) -> None:
        for i, output in enumerate(self._model.graph.outputs):
            if self.dtype(output) != FLOAT16:
                continue
            node = output.producer()
            assert node is not None
            if node.op_type == "GroupQueryAttention":
                output.type = ir.TensorType(FLOAT16)
                continue
            name, output.name = str(output.name), f"{output.name}.float16"
            node.name = output.name
            output.type = ir.TensorType(FLOAT16)
            cast = ir.node("Cast", [output], {"to": FLOAT}, name=name)
            final = cast.outputs[0]
            final.name, final.type, final.shape = name, ir.TensorType(FLOAT), output.shape
            self._model.graph.insert_after(node, cast)
            self._model.graph.outputs[i] = final

    def _as(self, value: ir.Value, dtype: ir.DataType, before: ir.Node) -> ir.Value:
        if dtype == FLOAT16 and value.is_initializer():
            return self._half(value)
        if dtype == FLOAT16 and value.is_graph_input():
            value.type = ir.TensorType(FLOAT16)
            return value
        if (value, dtype) not in self._casts:
            cast = ir.node("Cast", [value], {"to": dtype}, name=f"{value.name}.{dtype.name.lower()}")
            cast.outputs[0].name = cast.name
            self._model.graph.insert_before(before, cast)
            self._casts[value, dtype] = cast.outputs[0]
        return self._casts[value, dtype]

    def _half(self, value: ir.Value) -> ir.Value:
        """Return a float16 copy of a weight, because other nodes may read the weight itself."""
        tensor, name = value.const_value, f"{value.name}{HALF_SUFFIX}"
        assert tensor is not None
        half = lazy(name, FLOAT16, static_shape(tensor), lambda: tensor.numpy().astype(np.float16))
        return initializer(self._model, name, half)
