"""Grouped-query attention of several texts behind one shared prefix, at the cost of each text alone.

All texts' queries meet the prefix in one matrix product, and each text its own keys in a batched one; one softmax runs
over both. Nothing is computed between the texts, and the prefix is not copied for each of them.
"""

from dataclasses import dataclass

import onnx_ir as ir

from onnxrank.export.decoder_inputs import MASKED, DecoderInputs
from onnxrank.export.graph import GraphBuilder
from onnxrank.manifest import KeyValueCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """`output` [documents, length, heads * head_dim]; keys and values of the rows, [kv_heads, documents, length,
    head_dim], the keys rotated."""

    output: ir.Value
    key: ir.Value
    value: ir.Value


class PrefixAttention:
    """Makes the shapes and the mask once, and a layer's attention at each call."""

    def __init__(self, b: GraphBuilder, inputs: DecoderInputs, cache: KeyValueCache, heads: int) -> None:
        self.b = b
        self.inputs = inputs
        self.kv_heads, self.head_dim = cache.heads, cache.head_dim
        self.group = heads // cache.heads
        kv, group = b.constant([self.kv_heads], "kv_heads"), b.constant([self.group], "group")
        size = b.constant([self.head_dim], "head_dim")
        documents = b.op("Shape", inputs.token_ids, start=0, end=1, name="documents")
        length = b.op("Shape", inputs.token_ids, start=1, end=2, name="length")
        prefix = b.op("Shape", inputs.past[0][0], start=1, end=2, name="prefix_length")
        rows = b.op("Mul", group, length, name="rows_of_a_head")
        flat = b.op("Mul", rows, documents)
        self.own_shape = b.op("Concat", kv, documents, rows, prefix, axis=0, name="prefix_scores_by_document")
        self.flat_shape = b.op("Concat", kv, flat, prefix, axis=0, name="prefix_scores_of_all")
        self.sizes = b.op("Concat", prefix, length, axis=0, name="prefix_and_own")
        self.output_shape = b.op("Concat", kv, documents, group, length, size, axis=0, name="heads_first")
        self.mask = self._mask(length)

    def __call__(self, query: ir.Value, key: ir.Value, value: ir.Value, layer: int, name: str) -> Attended:
        """query [documents, length, heads * head_dim], key and value likewise with kv_heads; all rotated already."""
        b, kv, size = self.b, self.kv_heads, self.head_dim
        past_key, past_value = self.inputs.past[layer]
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
        return Attended(output=b.op("Reshape", output, merge, name=f"{name}.attended"), key=keys, value=values)

    def _heads_first(self, x: ir.Value, split: list[int], perm: list[int], name: str) -> ir.Value:
        b = self.b
        shaped = b.op("Reshape", x, b.constant(split, f"split_{len(split)}"), name=f"{name}.split_heads")
        return b.op("Transpose", shaped, perm=perm, name=f"{name}.heads_first")

    def _scores(self, queries: ir.Value, keys: ir.Value, name: str) -> ir.Value:
        scale = float(self.head_dim**-0.5)
        return self.b.contrib("FusedMatMul", queries, keys, outputs=[name], transB=1, alpha=scale)[0]

    def _mask(self, length: ir.Value) -> ir.Value:
        """Causal, [G * length, length]: the rows of a head are its G queries' one after the other."""
        b = self.b
        zero, one = b.constant(0, "zero"), b.constant(1, "one")
        index = b.op("Range", zero, b.op("Squeeze", length), one, name="column")
        row = b.op("Unsqueeze", b.op("Concat", *[index] * self.group, axis=0), b.constant([1], "axis_1"))
        seen = b.op("GreaterOrEqual", row, index)
        return b.op("Where", seen, b.constant(0.0, "seen"), b.constant(MASKED, "masked"), name="causal_mask")
