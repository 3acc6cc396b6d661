"""The layers that all decoders have: RMS norm, attention, RMS norm, gated SiLU. Each architecture's file declares its
differences from them."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import onnx_ir as ir

from onnxrank.artifact.manifest import KeyValueCache
from onnxrank.errors import UnsupportedError
from onnxrank.export.architectures.architecture import Decoder
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.config_fields import head_dim, refuse_unknown
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.decoder_inputs import FLOAT, INPUTS, Shape
from onnxrank.export.graph.grouped_query import GroupedQuery
from onnxrank.export.graph.heads import DecoderHead, Outputs
from onnxrank.export.graph.prefix_attention import PrefixAttention
from onnxrank.export.graph.rope import Rope, rope_of, rotary_tables
from onnxrank.export.graph.weights import Weights, prefix_of

HARMLESS = {"attention_dropout"}
READ = {
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "rms_norm_eps", "max_position_embeddings", "rope_theta", "rope_scaling",
    "rope_parameters", "layer_types",
}  # fmt: skip
FIXED: Mapping[str, tuple[object, ...]] = {"hidden_act": ("silu",)}
TABLE = "embed_tokens.weight"

# attend(layer, query, key, value, name): query is [batch, sequence, heads x head_dim], key and value have kv_heads, and
# none is rotated yet; it returns the attended values in the shape of query.
Attend = Callable[[int, ir.Value, ir.Value, ir.Value, str], ir.Value]
Select = Callable[[ir.Value, str], ir.Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How an architecture differs from the common layers.

    head_norms: whether each head's queries and keys are RMS-normalised. Whether there are biases in the query, key and
    value projections (input), in the projection after attention (output) and in the feed-forward layers (mlp): True,
    False, or the field of config.json that decides. read, harmless, fixed: further fields of config.json, for
    `refuse_unknown`.
    """

    head_norms: bool = False
    input_bias: bool | str = False
    output_bias: bool | str = False
    mlp_bias: bool | str = False
    read: Set[str] = frozenset()
    harmless: Set[str] = frozenset()
    fixed: Mapping[str, tuple[object, ...]] = field(default_factory=dict)

    @property
    def fields(self) -> set[str]:
        """Return the fields of config.json that are read."""
        biases = self.input_bias, self.output_bias, self.mlp_bias
        return {*self.read, *(bias for bias in biases if isinstance(bias, str))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """A decoder's dimensions, read from config.json."""

    vocab: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    epsilon: float
    head_norms: bool
    input_bias: bool
    output_bias: bool
    mlp_bias: bool
    rope: Rope

    @classmethod
    def of(cls, config: Mapping[str, Any], own: Differences) -> "Dimensions":
        """Raises UnsupportedError naming a config.json field that changes the arithmetic and is not supported."""
        refuse_unknown(config, read=READ | own.fields, harmless=HARMLESS | own.harmless, fixed={**FIXED, **own.fixed})
        if odd := set(config.get("layer_types") or []) - {"full_attention"}:
            raise UnsupportedError(
                f"config.json lists {odd.pop()!r:.60} in layer_types, and only 'full_attention' is supported."
            )

        def has(bias: bool | str) -> bool:
            return bool(config.get(bias, False)) if isinstance(bias, str) else bias

        heads = int(config["num_attention_heads"])
        return cls(
            vocab=config["vocab_size"],
            hidden=config["hidden_size"],
            intermediate=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=head_dim(config),
            epsilon=config.get("rms_norm_eps", 1e-6),
            head_norms=own.head_norms,
            input_bias=has(own.input_bias),
            output_bias=has(own.output_bias),
            mlp_bias=has(own.mlp_bias),
            rope=rope_of(config, head_dim(config)),
        )

    @property
    def cache(self) -> KeyValueCache:
        return KeyValueCache(layers=self.layers, heads=self.kv_heads, head_dim=self.head_dim)


def causal_decoder(own: Differences) -> Decoder:
    """Return the causal architecture with these differences."""
    return Decoder(build=partial(_build, own), cache=lambda checkpoint: Dimensions.of(checkpoint.config, own).cache)


def _build(own: Differences, checkpoint: Checkpoint, shape: Shape, max_length: int, head: DecoderHead) -> ir.Model:
    b, dims = GraphBuilder(), Dimensions.of(checkpoint.config, own)
    weights = Weights(b, checkpoint, prefix_of(checkpoint, TABLE))
    attention = CausalAttention(b, dims, shape, max_length)
    layers = Layers(b, weights, dims, attention, attention.inputs.select)
    normed, _ = layers.build(attention.inputs.token_ids)
    rows = "documents" if shape is Shape.PREFIX else "batch_size"
    return b.model({**head(b, normed, rows), **attention.presents})


class CausalAttention:
    """The attention of a decoder's graph; it declares the graph's inputs and collects the output keys and values."""

    def __init__(self, b: GraphBuilder, dims: Dimensions, shape: Shape, max_length: int) -> None:
        self.dims = dims
        self.inputs = INPUTS[shape](b, dims.cache)
        self.presents: Outputs = {}
        cos, sin = rotary_tables(b, dims.rope, max_length)
        self.grouped = GroupedQuery(b=b, inputs=self.inputs, cache=dims.cache, heads=dims.heads, cos=cos, sin=sin)
        self.prefixed = PrefixAttention(b, self.grouped) if shape is Shape.PREFIX else None

    def __call__(self, layer: int, query: ir.Value, key: ir.Value, value: ir.Value, name: str) -> ir.Value:
        dims = self.dims
        if self.prefixed:
            found = self.prefixed(query, key, value, layer, name)
            size: list[int | str] = [dims.kv_heads, "documents", "present_length", dims.head_dim]
            self._keep(layer, found["key"], found["value"], size)
            return found["output"]
        if not self.inputs.past:
            return self.grouped.without_past(query, key, value, name)
        attended, keys, values = self.grouped(query, key, value, self.inputs.past[layer], name)
        self._keep(layer, keys, values, ["batch_size", dims.kv_heads, "total_sequence_length", dims.head_dim])
        return attended

    def _keep(self, layer: int, key: ir.Value, value: ir.Value, size: list[int | str]) -> None:
        for part, output in (("key", key), ("value", value)):
            self.presents[f"present.{layer}.{part}"] = (output, FLOAT, size)


class Layers:
    """A decoder's layers, with any attention.

    select: selects the scored positions after the last layer's attention; None keeps all of them.
    """

    def __init__(
        self, b: GraphBuilder, weights: Weights, dims: Dimensions, attend: Attend, select: Select | None
    ) -> None:
        self.b = b
        self.weights = weights
        self.dims = dims
        self.attend = attend
        self.select = select

    def build(self, token_ids: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Return the hidden states after the final norm and before it."""
        b, dims = self.b, self.dims
        table = self.weights.tensor(TABLE, (dims.vocab, dims.hidden))
        residual = b.op("Gather", table, token_ids, axis=0, name="embedding")
        norm = self.weights.tensor("layers.0.input_layernorm.weight", (dims.hidden,))
        normed = b.op(
            "SimplifiedLayerNormalization", residual, norm, axis=-1, epsilon=dims.epsilon, stash_type=1,
            name="layers.0.input_norm",
        )  # fmt: skip
        for i in range(dims.layers):
            normed, residual = self._layer(i, normed, residual)
        return normed, residual

    def _layer(self, i: int, normed: ir.Value, residual: ir.Value) -> tuple[ir.Value, ir.Value]:
        """One layer: (normed input, residual) -> (normed input of the next layer, residual)."""
        dims, name = self.dims, f"layers.{i}"
        last = i + 1 == dims.layers
        attended = self.attend(i, *self._projections(f"{name}.self_attn", normed), f"{name}.self_attn")
        if last and self.select:
            # The rest of the last layer is computed for the scored positions only.
            attended = self.select(attended, "scored_attention")
            residual = self.select(residual, "scored_residual")
        width = dims.heads * dims.head_dim
        projected = self._linear(f"{name}.self_attn.o_proj", attended, dims.hidden, width, dims.output_bias)
        normed, residual = self._add_and_norm(f"{name}.post_attention_layernorm.weight", projected, residual)
        gate = self._linear(f"{name}.mlp.gate_proj", normed, dims.intermediate, dims.hidden, dims.mlp_bias)
        up = self._linear(f"{name}.mlp.up_proj", normed, dims.intermediate, dims.hidden, dims.mlp_bias)
        # With alpha 1, QuickGelu is SiLU.
        (gate,) = self.b.contrib("QuickGelu", gate, outputs=[f"{name}.mlp.silu"], alpha=1.0)
        product = self.b.op("Mul", gate, up, name=f"{name}.mlp.gated")
        down = self._linear(f"{name}.mlp.down_proj", product, dims.hidden, dims.intermediate, dims.mlp_bias)
        following = "norm.weight" if last else f"layers.{i + 1}.input_layernorm.weight"
        return self._add_and_norm(following, down, residual)

    def _projections(self, name: str, normed: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
        dims = self.dims
        query, key, value = (
            self._linear(f"{name}.{part}_proj", normed, heads * dims.head_dim, dims.hidden, dims.input_bias)
            for part, heads in (("q", dims.heads), ("k", dims.kv_heads), ("v", dims.kv_heads))
        )
        if dims.head_norms:
            query = self._head_norm(f"{name}.q_norm", query, dims.heads)
            key = self._head_norm(f"{name}.k_norm", key, dims.kv_heads)
        return query, key, value

    def _head_norm(self, name: str, x: ir.Value, heads: int) -> ir.Value:
        """RMS norm of each head, in the only form that WebGPU fuses into its attention."""
        b, dims = self.b, self.dims
        split = b.constant([0, 0, heads, dims.head_dim], f"split_{heads}_heads")
        merge = b.constant([0, 0, heads * dims.head_dim], f"merge_{heads}_heads")
        weight = self.weights.tensor(f"{name}.weight", (dims.head_dim,))
        x = b.op("Reshape", x, split, name=f"{name}.split")
        x = b.op(
            "SimplifiedLayerNormalization", x, weight, axis=-1, epsilon=dims.epsilon, stash_type=1, name=f"{name}.norm"
        )
        return b.op("Reshape", x, merge, name=f"{name}.merge")

    def _add_and_norm(self, weight: str, x: ir.Value, residual: ir.Value) -> tuple[ir.Value, ir.Value]:
        stem = weight.removesuffix(".weight")
        normed, _, _, total = self.b.contrib(
            "SkipSimplifiedLayerNormalization", x, residual, self.weights.tensor(weight, (self.dims.hidden,)),
            outputs=[f"{stem}.normed", "", "", f"{stem}.residual"], epsilon=self.dims.epsilon,
        )  # fmt: skip
        return normed, total

    def _linear(self, name: str, x: ir.Value, outputs: int, inputs: int, bias: bool) -> ir.Value:
        return self.weights.linear(name, x, outputs, inputs, bias=bias)
