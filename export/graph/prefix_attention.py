"""Grouped-query attention of several texts behind one common prefix; its cost grows linearly with the number of texts.

One matrix product multiplies the queries of all texts with the prefix's keys, a batched one each text's queries with
its own keys, and one softmax runs over both. Nothing is computed between texts, and the prefix is not copied. A single
text may be long and then uses GroupQueryAttention, whose memory does not grow with the square of the length.
"""

from collections.abc import Mapping
from functools import partial

import onnx_ir as ir

from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.decoder_inputs import MASKED
from onnxrank.export.graph.grouped_query import GroupedQuery


class PrefixAttention:
    """Appends the shapes and the mask once, and one layer's attention at each call."""

    def __init__(self, b: GraphBuilder, grouped: GroupedQuery) -> None:
        self.b = b
        self.grouped = grouped
        self.inputs = inputs = grouped.inputs
        self.kv_heads, self.head_dim = grouped.cache.heads, grouped.cache.head_dim
        self.group = grouped.heads // self.kv_heads
        kv, group = b.constant([self.kv_heads], "kv_heads"), b.constant([self.group], "group")
        size = b.constant([self.head_dim], "head_dim")
        documents = b.op("Shape", inputs.token_ids, start=0, end=1, name="documents")
        length = b.op("Shape", inputs.token_ids, start=1, end=2, name="length")
        self.prefix = b.op("Shape", inputs.past[0][0], start=1, end=2, name="prefix_length")
        rows = b.op("Mul", group, length, name="rows_of_a_head")
        flat = b.op("Mul", rows, documents)
        self.own_shape = b.op("Concat", kv, documents, rows, self.prefix, axis=0, name="prefix_scores_by_document")
        self.flat_shape = b.op("Concat", kv, flat, self.prefix, axis=0, name="prefix_scores_of_all")
        self.sizes = b.op("Concat", self.prefix, length, axis=0, name="prefix_and_own")
        self.output_shape = b.op("Concat", kv, documents, group, length, size, axis=0, name="heads_first")
        self.kept = b.op("Add", self.prefix, inputs.present_length, name="end_of_present")
        alone = b.op("Equal", documents, b.constant([1], "axis_1"))
        self.long = b.op("And", alone, b.op("GreaterOrEqual", length, inputs.grouped_from), name="long_and_alone")
        masks = b.choose(self.long, self._no_mask, partial(self._causal_mask, length), "mask")
        self.mask = masks["mask"]

    def __call__(
        self, query: ir.Value, key: ir.Value, value: ir.Value, layer: int, name: str
    ) -> Mapping[str, ir.Value]:
        """query is [documents, length, heads * head_dim], key and value have kv_heads; none is rotated yet.

        Returns `output` in the shape of query, and `key` (rotated) and `value` of the rows' first present_length
        tokens, [kv_heads, documents, present_length, head_dim].
        """
        arguments = query, key, value, layer, name
        return self.b.choose(self.long, partial(self._one, *arguments), partial(self._several, *arguments), name)

    def _one(self, query: ir.Value, key: ir.Value, value: ir.Value, layer: int, name: str) -> Mapping[str, ir.Value]:
        b = self.b
        axis = b.constant([2], "axis_2")
        past = [b.op("Unsqueeze", part, b.constant([0], "axis_0")) for part in self.inputs.past[layer]]
        output, keys, values = self.grouped(query, key, value, (past[0], past[1]), name)
        # For one row, [1, kv_heads, length, head_dim] and [kv_heads, 1, length, head_dim] have the same memory layout.
        swap = b.constant([self.kv_heads, 1, -1, self.head_dim], "one_row")
        kept = [b.op("Slice", part, self.prefix, self.kept, axis) for part in (keys, values)]
        key, value = (b.op("Reshape", part, swap) for part in kept)
        return {"output": output, "key": key, "value": value}

    def _several(
        self, query: ir.Value, key: ir.Value, value: ir.Value, layer: int, name: str
    ) -> Mapping[str, ir.Value]:
        b, kv, size = self.b, self.kv_heads, self.head_dim
        past_key, past_value = self.inputs.past[layer]
        query, key = self._rotate(query, self.grouped.heads), self._rotate(key, kv)
        grouped = self._heads_first(query, [0, 0, kv, self.group, size], [2, 0, 3, 1, 4], f"{name}.query")
        keys = self._heads_first(key, [0, 0, kv, size], [2, 0, 1, 3], f"{name}.key")
        values = self._heads_first(value, [0, 0, kv, size], [2, 0, 1, 3], f"{name}.value")

        every = b.op("Reshape", grouped, b.constant([0, -1, size], "all_queries"))
        to_prefix = self._scores(every, past_key, f"{name}.prefix_scores")
        to_prefix = b.op("Reshape", to_prefix, self.own_shape, allowzero=1)
        queries = b.op("Reshape", grouped, b.constant([0, 0, -1, size], "queries_by_document"))
        to_own = b.op("Add", self._scores(queries, keys, f"{name}.own_scores"), self.mask)
        weights = b.op("Softmax", b.op("Concat", to_prefix, to_own, axis=-1), axis=-1, name=f"{name}.weights")
        of_prefix, of_own = b.split_at(weights, self.sizes, 2, f"{name}.weights")

        of_prefix = b.op("Reshape", of_prefix, self.flat_shape, allowzero=1)
        from_prefix = b.op("MatMul", of_prefix, past_value, name=f"{name}.from_prefix")
        from_own = b.op("MatMul", of_own, values, name=f"{name}.from_own")
        from_own = b.op("Reshape", from_own, b.constant([0, -1, size], "all_queries"))
        output = b.op("Reshape", b.op("Add", from_prefix, from_own), self.output_shape)
        output = b.op("Transpose", output, perm=[1, 3, 0, 2, 4])
        merge = b.constant([0, 0, kv * self.group * size], "merged_heads")
        output = b.op("Reshape", output, merge, name=f"{name}.merged")
        first, axis = b.constant([0], "axis_0"), b.constant([2], "axis_2")
        key, value = (b.op("Slice", part, first, self.inputs.present_length, axis) for part in (keys, values))
        return {"output": output, "key": key, "value": value}

    def _rotate(self, x: ir.Value, heads: int) -> ir.Value:
        inputs = (x, self.inputs.position_ids, self.grouped.cos, self.grouped.sin)
        return self.b.contrib("RotaryEmbedding", *inputs, outputs=[f"{x.name}.rotated"], num_heads=heads)[0]

    def _heads_first(self, x: ir.Value, split: list[int], perm: list[int], name: str) -> ir.Value:
        b = self.b
        shaped = b.op("Reshape", x, b.constant(split, f"split_{len(split)}"), name=f"{name}.split_heads")
        return b.op("Transpose", shaped, perm=perm, name=f"{name}.heads_first")

    def _scores(self, queries: ir.Value, keys: ir.Value, name: str) -> ir.Value:
        scale = float(self.head_dim**-0.5)
        return self.b.contrib("FusedMatMul", queries, keys, outputs=[name], transB=1, alpha=scale)[0]

    def _causal_mask(self, length: ir.Value) -> Mapping[str, ir.Value]:
        """Return [G * length, length]: the rows of the G query heads of a key head follow each other."""
        b = self.b
        zero, one = b.constant(0, "zero"), b.constant(1, "one")
        index = b.op("Range", zero, b.op("Squeeze", length), one, name="column")
        row = b.op("Unsqueeze", b.op("Concat", *[index] * self.group, axis=0), b.constant([1], "axis_1"))
        seen = b.op("GreaterOrEqual", row, index)
        return {"mask": b.op("Where", seen, b.constant(0.0, "seen"), b.constant(MASKED, "masked"), name="causal_mask")}

    def _no_mask(self) -> Mapping[str, ir.Value]:
        return {"mask": self.b.op("Identity", self.b.constant(0.0, "seen"))}
