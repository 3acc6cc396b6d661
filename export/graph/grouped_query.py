"""GroupQueryAttention with rotary positions, for all graphs of decoders."""

from dataclasses import dataclass

import onnx_ir as ir

from onnxrank.artifact.manifest import KeyValueCache
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.decoder_inputs import DecoderInputs

Past = tuple[ir.Value | None, ir.Value | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedQuery:
    """The dimensions and tables that all layers share. cos, sin: float32 [positions, head_dim / 2]."""

    b: GraphBuilder
    inputs: DecoderInputs
    cache: KeyValueCache
    heads: int
    cos: ir.Value
    sin: ir.Value

    def __call__(
        self, query: ir.Value, key: ir.Value, value: ir.Value, past: Past, name: str
    ) -> tuple[ir.Value, ir.Value, ir.Value]:
        """query is [batch, sequence, heads * head_dim], key and value have kv_heads; none is rotated yet.

        Returns the attended values in the shape of query, and the rotated keys and the values of past and sequence,
        [batch, kv_heads, past + sequence, head_dim]. The caller has to read both: flash attention on the CPU needs
        these outputs, and ONNX Runtime frees an output after its last reader but keeps one without readers to the end
        of the run.
        """
        attended, present_key, present_value = self.b.contrib(
            "GroupQueryAttention",
            query,
            key,
            value,
            *past,
            self.inputs.seqlens_k,
            self.inputs.total_length,
            self.cos,
            self.sin,
            None,
            self.inputs.attention_bias,
            outputs=[f"{name}.attended", f"{name}.present_key", f"{name}.present_value"],
            num_heads=self.heads,
            kv_num_heads=self.cache.heads,
            scale=float(self.cache.head_dim**-0.5),
            do_rotary=1,
            rotary_interleaved=0,
        )
        return attended, present_key, present_value

    def without_past(self, query: ir.Value, key: ir.Value, value: ir.Value, name: str) -> ir.Value:
        """Return the attended values of rows without a past."""
        b = self.b
        attended, present_key, present_value = self(query, key, value, (None, None), name)
        # A reshape to the same shape, which is computed from the present outputs in order to read them.
        shape = b.op(
            "Concat",
            b.op("Shape", present_key, start=0, end=1),
            b.op("Shape", present_value, start=2, end=3),
            b.constant([self.heads * self.cache.head_dim], "attended_width"),
            axis=0,
        )
        return b.op("Reshape", attended, shape, name=f"{name}.attended_rows")
