"""The inputs, poolings and full attention of an encoder's graph, the same for every encoder."""

from dataclasses import dataclass

import onnx_ir as ir

from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.decoder_inputs import FLOAT, INT64, MASKED

# Columns added to each head: one for the mask, and zeros up to four, because kernels load four numbers at a time.
MASK_COLUMNS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderInputs:
    """Rows padded on either side.

    token_ids and token_type_ids (or None): int64 [batch, sequence]. visible: bool [batch, sequence], whether attention
    sees the token. first: int64 [batch, 1], the index of each row's first token. positions: int64
    [batch, sequence], counted from there.
    """

    token_ids: ir.Value
    token_type_ids: ir.Value | None
    visible: ir.Value
    first: ir.Value
    positions: ir.Value


def encoder_inputs(b: GraphBuilder, *, token_types: bool) -> EncoderInputs:
    """Declare the inputs."""
    size = ["batch_size", "sequence_length"]
    input_ids = b.input("input_ids", INT64, size)
    mask = b.input("attention_mask", INT64, size)
    types = b.input("token_type_ids", INT64, size) if token_types else None
    zero, one = b.constant(0, "zero"), b.constant(1, "one")
    first = b.op("ArgMax", b.op("Cast", mask, to=ir.DataType.INT32), axis=1, keepdims=1, name="first_token")
    length = b.op("Squeeze", b.op("Shape", input_ids, start=1, end=2), name="sequence_length_scalar")
    index = b.op("Range", zero, length, one)
    return EncoderInputs(
        token_ids=input_ids,
        token_type_ids=types,
        visible=b.op("Cast", mask, to=ir.DataType.BOOL, name="visible"),
        first=first,
        positions=b.op("Max", b.op("Sub", index, first), b.constant([0], "no_position"), name="positions"),
    )


def first_token(b: GraphBuilder, inputs: EncoderInputs, hidden: ir.Value) -> ir.Value:
    """Return each row's first hidden state, [batch, hidden]: CLS pooling."""
    return b.op("GatherND", hidden, inputs.first, batch_dims=1, name="pooled")


def mean(b: GraphBuilder, inputs: EncoderInputs, hidden: ir.Value) -> ir.Value:
    """Return the mean hidden state of the visible tokens, [batch, hidden]."""
    weights = b.op("Unsqueeze", b.op("Cast", inputs.visible, to=FLOAT), b.constant([-1], "last_axis"))
    axis = b.constant([1], "axis_1")
    total = b.op("ReduceSum", b.op("Mul", hidden, weights), axis, keepdims=0)
    return b.op("Div", total, b.op("ReduceSum", weights, axis, keepdims=0), name="pooled")


def last_token(b: GraphBuilder, inputs: EncoderInputs, hidden: ir.Value) -> ir.Value:
    """Return the hidden state of each row's last visible token, [batch, hidden]."""
    count = b.op("ReduceSum", b.op("Cast", inputs.visible, to=INT64), b.constant([1], "axis_1"), keepdims=1)
    last = b.op("Sub", b.op("Add", inputs.first, count), b.constant(1, "one"), name="last_token")
    return b.op("GatherND", hidden, last, batch_dims=1, name="pooled")


POOLINGS = {"cls": first_token, "mean": mean, "last": last_token}


class FullAttention:
    """Every token sees every visible token.

    ONNX Runtime's attention kernel bounds its memory only without a mask input, so the mask is one more column of each
    head: 1 in every query, and MASKED in the keys of padding. The dot product then adds MASKED to the score.
    """

    def __init__(self, b: GraphBuilder, inputs: EncoderInputs, *, heads: int, head_dim: int) -> None:
        self._b = b
        self._heads = heads
        self._scale = head_dim**-0.5
        self._head_dim = head_dim
        column = b.op("Where", inputs.visible, b.constant(0.0, "seen"), b.constant(MASKED, "masked"))
        column = b.op("Unsqueeze", column, b.constant([2, 3], "axes_2_3"))
        ones = b.op("Add", b.op("Mul", column, b.constant(0.0, "seen")), b.constant(1.0, "one_float"))
        pads = b.constant([0] * 7 + [MASK_COLUMNS - 1], "mask_column_pads")
        self._query_columns, self._key_columns = (
            b.op("Pad", self._per_head(x), pads, mode="constant") for x in (ones, column)
        )

    def __call__(self, query: ir.Value, key: ir.Value, value: ir.Value, name: str) -> ir.Value:
        """Return attention of [batch, sequence, heads x head_dim] queries, keys and values, in the same shape."""
        return multi_head_attention(
            self._b,
            self._widen(query, self._query_columns, f"{name}.query"),
            self._widen(key, self._key_columns, f"{name}.key"),
            value,
            None,
            heads=self._heads,
            scale=self._scale,
            name=name,
        )

    def _per_head(self, column: ir.Value) -> ir.Value:
        shape = self._b.constant([1, 1, self._heads, 1], "per_head")
        return self._b.op("Expand", column, shape)

    def _widen(self, x: ir.Value, columns: ir.Value, name: str) -> ir.Value:
        b, heads, width = self._b, self._heads, self._head_dim + MASK_COLUMNS
        split = b.constant([0, 0, heads, self._head_dim], f"split_{heads}_heads")
        merge = b.constant([0, 0, heads * width], f"merge_{heads}_heads")
        x = b.op("Concat", b.op("Reshape", x, split), columns, axis=3, name=f"{name}.masked")
        return b.op("Reshape", x, merge, name=f"{name}.merged")


def multi_head_attention(
    b: GraphBuilder,
    query: ir.Value,
    key: ir.Value,
    value: ir.Value,
    bias: ir.Value | None,
    *,
    heads: int,
    scale: float,
    name: str,
) -> ir.Value:
    """Append ONNX Runtime's fused attention."""
    (attended,) = b.contrib(
        "MultiHeadAttention", query, key, value, None, None, bias, outputs=[f"{name}.attended"], num_heads=heads,
        scale=float(scale),
    )  # fmt: skip
    return attended
