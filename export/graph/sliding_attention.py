"""Sliding-window attention in blocks: time and memory grow linearly with the length of the text.

A block of `window` tokens sees only itself, the block before and the block after. Each block is an independent small
attention, and the result is exact for any length.
"""

import onnx_ir as ir

from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.decoder_inputs import FLOAT, MASKED
from onnxrank.export.graph.encoder_inputs import EncoderInputs, multi_head_attention


class SlidingAttention:
    """Every token sees the visible tokens at most `window` away."""

    def __init__(
        self,
        b: GraphBuilder,
        inputs: EncoderInputs,
        *,
        heads: int,
        head_dim: int,
        window: int,
        masked_row: str | None,
    ) -> None:
        """masked_row: the output for a token that sees no other, "mean" (of all values) or "zero"; None if no such
        token affects the result."""
        self._b = b
        self._heads = heads
        self._scale = head_dim**-0.5
        self._width = b.constant([heads * head_dim], "attention_width")
        self._masked_row = masked_row
        one = b.constant([1], "axis_1")
        length = b.op("Shape", inputs.token_ids, start=1, end=2)
        # A text shorter than the window is one block.
        self._block = b.op("Min", length, b.constant([window], "window"), name="block")
        self._blocks = b.op("Div", b.op("Sub", b.op("Add", length, self._block), one), self._block, name="blocks")
        self._length = length
        self._batch = b.op("Shape", inputs.token_ids, start=0, end=1)
        self._padded = b.op("Mul", self._blocks, self._block, name="padded_length")
        self._tail = b.op("Sub", self._padded, length)
        self._bias, self._sees = self._mask(inputs, window)

    def __call__(self, query: ir.Value, key: ir.Value, value: ir.Value, name: str) -> ir.Value:
        """Return attention of [batch, sequence, heads x head_dim] queries, keys and values, in the same shape."""
        b = self._b
        zero = b.constant([0], "axis_0")
        rows = b.op("Pad", query, self._pads(zero, self._tail), mode="constant")
        split = b.op("Concat", b.constant([-1], "last_axis"), self._block, self._width, axis=0)
        attended = multi_head_attention(
            b,
            b.op("Reshape", rows, split, name=f"{name}.query_blocks"),
            self._neighbourhoods(key, self._width, f"{name}.key"),
            self._neighbourhoods(value, self._width, f"{name}.value"),
            self._bias,
            heads=self._heads,
            scale=self._scale,
            name=f"{name}.blocks",
        )
        merge = b.op("Concat", self._batch, self._padded, self._width, axis=0)
        merged = b.op("Reshape", attended, merge, name=f"{name}.merged")
        merged = b.op("Slice", merged, zero, self._length, b.constant([1], "axis_1"), name=f"{name}.attended")
        if self._masked_row is None:
            return merged
        alone = b.constant(0.0, "seen")
        if self._masked_row == "mean":
            alone = b.op("ReduceMean", value, b.constant([1], "axis_1"), keepdims=1)
        return b.op("Where", self._sees, merged, alone, name=f"{name}.mended")

    def _mask(self, inputs: EncoderInputs, window: int) -> tuple[ir.Value, ir.Value]:
        """Return the bias [batch x blocks, 1, block, 3 block] and, bool [batch, sequence, 1], if a token sees any."""
        b = self._b
        zero, one, last = b.constant(0, "zero"), b.constant(1, "one"), b.constant([-1], "last_axis")
        block = b.op("Squeeze", self._block)
        keys = b.op("Range", zero, b.op("Mul", block, b.constant(3, "three")), one)
        queries = b.op("Unsqueeze", b.op("Add", b.op("Range", zero, block, one), block), last)
        distance = b.op("Abs", b.op("Sub", keys, queries))
        near = b.op("LessOrEqual", distance, b.constant(window, "window_scalar"))
        column = b.op("Unsqueeze", b.op("Cast", inputs.visible, to=FLOAT), last)
        visible = self._neighbourhoods(column, b.constant([1], "axis_1"), "visible")
        visible = b.op("Transpose", visible, perm=[0, 2, 1])
        seen = b.op("And", near, b.op("Cast", visible, to=ir.DataType.BOOL), name="seen_in_block")
        bias = b.op("Where", seen, b.constant(0.0, "seen"), b.constant(MASKED, "masked"))
        bias = b.op("Unsqueeze", bias, b.constant([1], "axis_1"), name="block_bias")
        sees = b.op("ReduceMax", b.op("Cast", seen, to=FLOAT), last, keepdims=1)
        rows = b.op("Concat", self._batch, self._padded, b.constant([1], "axis_1"), axis=0)
        sees = b.op("Slice", b.op("Reshape", sees, rows), b.constant([0], "axis_0"), self._length,
                    b.constant([1], "axis_1"))  # fmt: skip
        return bias, b.op("Cast", sees, to=ir.DataType.BOOL, name="sees_any")

    def _neighbourhoods(self, x: ir.Value, width: ir.Value, name: str) -> ir.Value:
        """[batch, sequence, width] -> [batch x blocks, 3 block, width]: each block between its neighbours."""
        b = self._b
        zero, one = b.constant([0], "axis_0"), b.constant([1], "axis_1")
        whole = b.op("Pad", x, self._pads(self._block, b.op("Add", self._tail, self._block)), mode="constant")
        lengthwise = b.op("Concat", self._batch, b.op("Add", self._blocks, b.constant([2], "axis_2")),
                          b.op("Mul", self._block, width), axis=0)  # fmt: skip
        whole = b.op("Reshape", whole, lengthwise)
        split = b.op("Concat", b.constant([-1], "last_axis"), self._block, width, axis=0)
        parts = []
        for shift in (0, 1, 2):
            start = (zero, one, b.constant([2], "axis_2"))[shift]
            part = b.op("Slice", whole, start, b.op("Add", self._blocks, start), one)
            parts.append(b.op("Reshape", part, split))
        return b.op("Concat", *parts, axis=1, name=f"{name}.neighbourhoods")

    def _pads(self, before: ir.Value, after: ir.Value) -> ir.Value:
        """Return the pads of a [batch, sequence, width] tensor along the sequence."""
        b = self._b
        zero = b.constant([0], "axis_0")
        return b.op("Concat", zero, before, zero, zero, after, zero, axis=0)
