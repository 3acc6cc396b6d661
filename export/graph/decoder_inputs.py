"""The inputs of a decoder's graph, the same for every decoder-only architecture.

There are three shapes of graph: rows padded on either side, documents behind a cached prefix, and lm (KV cache and full
vocabulary, as AutoModelForCausalLM code expects).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import onnx_ir as ir

from onnxrank.artifact.manifest import KeyValueCache
from onnxrank.export.graph.builder import GraphBuilder

INT64, INT32, FLOAT = ir.DataType.INT64, ir.DataType.INT32, ir.DataType.FLOAT

# Its softmax weight is 0 next to any attention score, and it is finite in float16.
MASKED = -3e4


class Shape(Enum):
    """The three graphs of a decoder."""

    PADDED = "padded"
    PREFIX = "prefix"
    LM = "lm"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderInputs:
    """The values that the layers get from the graph's inputs.

    token_ids: int64 [batch, sequence], right-padded. seqlens_k: int32 [batch], index of the last key.
    total_length: int32 scalar, number of keys. In the prefix graph, both are for a single row.
    position_ids and attention_bias: None if GroupQueryAttention's own positions and causal mask are right.
    past: each layer's (key, value) inputs; empty if there is no KV cache.
    present_length: int64 [1], tokens of each row whose keys and values are outputs; None if all or none are.
    grouped_from: int64 [1], the length from which a single row uses GroupQueryAttention; None if all rows do.
    select: selects the positions to score, [batch, sequence, n] -> [scored, n]; None keeps all of them.
    """

    token_ids: ir.Value
    seqlens_k: ir.Value
    total_length: ir.Value
    position_ids: ir.Value | None
    attention_bias: ir.Value | None
    past: list[tuple[ir.Value, ir.Value]]
    present_length: ir.Value | None
    grouped_from: ir.Value | None
    select: Callable[[ir.Value, str], ir.Value] | None


def padded_inputs(b: GraphBuilder, cache: KeyValueCache) -> DecoderInputs:
    """Declare padded rows. Rows are rolled to the left first, because GroupQueryAttention is silently wrong on left
    padding."""
    input_ids = b.input("input_ids", INT64, ["batch_size", "sequence_length"])
    mask = b.input("attention_mask", INT64, ["batch_size", "sequence_length"])
    zero, one = b.constant(0, "zero"), b.constant(1, "one")
    length = b.op("ReduceSum", mask, b.constant([1], "axis_1"), keepdims=0, name="row_length")
    last = b.op("Sub", b.op("Max", length, b.constant([1], "axis_1")), one, name="last_position")
    size = b.op("Shape", input_ids, start=1, end=2)
    total = b.op("Reshape", size, _scalar_shape(b), name="sequence_length_scalar")
    positions = b.op("Range", zero, total, one)
    mask32 = b.op("Cast", mask, to=INT32)
    padding = b.op("ArgMax", mask32, axis=1, keepdims=1, name="left_padding")
    rolled = b.op("Mod", b.op("Add", padding, positions), total)
    last_column = b.op("Unsqueeze", last, b.constant([1], "axis_1"), name="last_index")
    return DecoderInputs(
        token_ids=b.op("GatherElements", input_ids, rolled, axis=1, name="right_padded_ids"),
        seqlens_k=b.op("Cast", last, to=INT32, name="seqlens_k"),
        total_length=b.op("Cast", total, to=INT32, name="total_sequence_length"),
        position_ids=None,
        attention_bias=None,
        past=[],
        present_length=None,
        grouped_from=None,
        select=lambda x, name: b.op("GatherND", x, last_column, batch_dims=1, name=name),
    )


def prefix_inputs(b: GraphBuilder, cache: KeyValueCache) -> DecoderInputs:
    """Declare rows of similar length, padded on the right, that all continue one past.

    GroupQueryAttention is used only for a single row, so seqlens_k is that row's, and only from grouped_from tokens on,
    because it is several times slower than plain products in ONNX Runtime Web.
    """
    input_ids = b.input("input_ids", INT64, ["documents", "length"])
    last_index = b.input("last_index", INT64, ["documents"])
    present_length = b.input("present_length", INT64, [1])
    grouped_from = b.input("grouped_from", INT64, [1])
    past = _past(b, cache, [cache.heads, "past_sequence_length", cache.head_dim])
    scalar, one = _scalar_shape(b), b.constant(1, "one")
    start = b.op("Reshape", b.op("Shape", past[0][0], start=1, end=2), scalar, name="first_position")
    length = b.op("Reshape", b.op("Shape", input_ids, start=1, end=2), scalar)
    total = b.op("Add", start, length)
    last = b.op("Unsqueeze", b.op("Sub", total, one), b.constant([0], "axis_0"))
    last_column = b.op("Unsqueeze", last_index, b.constant([1], "axis_1"))
    return DecoderInputs(
        token_ids=input_ids,
        seqlens_k=b.op("Cast", last, to=INT32, name="seqlens_k"),
        total_length=b.op("Cast", total, to=INT32, name="total_sequence_length"),
        position_ids=b.op("Expand", b.op("Range", start, total, one), b.op("Shape", input_ids), name="position_ids"),
        attention_bias=None,
        past=past,
        present_length=present_length,
        grouped_from=grouped_from,
        select=lambda x, name: b.op("GatherND", x, last_column, batch_dims=1, name=name),
    )


def lm_inputs(b: GraphBuilder, cache: KeyValueCache) -> DecoderInputs:
    """Declare inputs for text generation with a KV cache. The bias masks padding on either side. Rotary positions
    include padding, which has no effect, because attention depends only on their differences."""
    input_ids = b.input("input_ids", INT64, ["batch_size", "sequence_length"])
    mask = b.input("attention_mask", INT64, ["batch_size", "total_sequence_length"])
    past = _past(b, cache, ["batch_size", cache.heads, "past_sequence_length", cache.head_dim])
    total = b.op("Shape", mask, start=1, end=2)
    batch = b.op("Shape", input_ids, start=0, end=1)
    scalar = b.op("Reshape", total, _scalar_shape(b))
    last = b.op("Expand", b.op("Sub", total, b.constant([1], "axis_1")), batch)

    padding = b.op("Equal", mask, b.constant(0, "zero"))
    bias = b.op("Where", padding, b.constant(MASKED, "masked"), b.constant(0.0, "seen"))
    bias = b.op("Unsqueeze", bias, b.constant([1, 2], "axes_1_2"))
    size = b.op("Shape", input_ids, start=1, end=2)
    shape = b.op(
        "Concat",
        b.constant([1], "axis_1"),
        b.constant([1], "axis_1"),
        size,
        b.constant([1], "axis_1"),
        axis=0,
    )
    return DecoderInputs(
        token_ids=input_ids,
        seqlens_k=b.op("Cast", last, to=INT32, name="seqlens_k"),
        total_length=b.op("Cast", scalar, to=INT32, name="total_sequence_length"),
        position_ids=None,
        attention_bias=b.op("Expand", bias, shape, name="attention_bias"),
        past=past,
        present_length=None,
        grouped_from=None,
        select=None,
    )


INPUTS: dict[Shape, Callable[[GraphBuilder, KeyValueCache], DecoderInputs]] = {
    Shape.PADDED: padded_inputs,
    Shape.PREFIX: prefix_inputs,
    Shape.LM: lm_inputs,
}


def _past(b: GraphBuilder, cache: KeyValueCache, shape: list[int | str]) -> list[tuple[ir.Value, ir.Value]]:
    def layer(i: int) -> tuple[ir.Value, ir.Value]:
        stem = f"past_key_values.{i}"
        return b.input(f"{stem}.key", FLOAT, shape), b.input(f"{stem}.value", FLOAT, shape)

    return [layer(i) for i in range(cache.layers)]


def _scalar_shape(b: GraphBuilder) -> ir.Value:
    return b.constant(np.empty(0, np.int64), "scalar_shape")
