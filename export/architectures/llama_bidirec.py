"""Llama layers whose tokens see each other in both directions: an encoder.

Source: LlamaBidirectionalModel of NVIDIA-NeMo/Automodel, which is LlamaModel without the causal mask.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import onnx_ir as ir

from onnxrank.export.architectures import llama
from onnxrank.export.architectures.architecture import Encoder, EncoderBody
from onnxrank.export.architectures.decoder_body import TABLE, Dimensions, Layers
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.encoder_inputs import EncoderInputs, FullAttention
from onnxrank.export.graph.rope import rotary_tables
from onnxrank.export.graph.weights import Weights

DIFFERENCES = replace(
    llama.DIFFERENCES,
    # Read by the head, not by the layers.
    read={"pooling", "temperature"},
    # auto_map names the checkpoint's own code, which these layers replace.
    harmless={*llama.DIFFERENCES.harmless, "auto_map"},
    fixed={"is_causal": (False,)},
)


def build(
    b: GraphBuilder, weights: Weights, config: Mapping[str, Any], inputs: EncoderInputs, body: EncoderBody
) -> tuple[ir.Value, ir.Value]:
    """Return the hidden states [batch, sequence, hidden] with and without the final norm."""
    dims = replace(Dimensions.of(config, DIFFERENCES), layers=body.layers)
    return Layers(b, weights, dims, BidirectionalAttention(b, dims, inputs, body.max_length), None).build(
        inputs.token_ids
    )


class BidirectionalAttention:
    """Every token sees every visible token; a group of query heads shares one key and value head."""

    def __init__(self, b: GraphBuilder, dims: Dimensions, inputs: EncoderInputs, max_length: int) -> None:
        self.b = b
        self.dims = dims
        self.tables = rotary_tables(b, dims.rope, max_length)
        self.full = FullAttention(b, inputs, heads=dims.heads, head_dim=dims.head_dim)

    def __call__(self, layer: int, query: ir.Value, key: ir.Value, value: ir.Value, name: str) -> ir.Value:
        query = self._rotate(query, self.dims.heads, f"{name}.query")
        key = self._rotate(key, self.dims.kv_heads, f"{name}.key")
        return self.full(query, self._repeat(key, f"{name}.key"), self._repeat(value, f"{name}.value"), name)

    def _rotate(self, x: ir.Value, heads: int, name: str) -> ir.Value:
        first = self.b.constant([0], "axis_0")  # positions include padding: only their differences matter
        (rotated,) = self.b.contrib(
            "RotaryEmbedding", x, first, *self.tables, outputs=[f"{name}.rotated"], num_heads=heads, interleaved=0
        )
        return rotated

    def _repeat(self, x: ir.Value, name: str) -> ir.Value:
        """[batch, sequence, kv_heads x head_dim] to heads x head_dim: repeats each head for its query heads."""
        b, dims = self.b, self.dims
        group = dims.heads // dims.kv_heads
        if group == 1:
            return x
        split = b.constant([0, 0, dims.kv_heads, 1, dims.head_dim], "split_kv_heads")
        merge = b.constant([0, 0, dims.heads * dims.head_dim], "repeated_heads")
        x = b.op("Expand", b.op("Reshape", x, split), b.constant([1, 1, 1, group, 1], "group"), name=f"{name}.grouped")
        return b.op("Reshape", x, merge, name=f"{name}.repeated")


ENCODER = Encoder(
    build=build,
    anchor=TABLE,
    token_types=lambda config: False,
    positions=lambda config: int(config["max_position_embeddings"]),
)
