"""Qwen3 and Qwen2 decoders: pre-norm layers, grouped-query attention, gated SiLU; Qwen3 RMS-normalises queries and
keys, Qwen2 gives them biases."""

from dataclasses import dataclass

import onnx_ir as ir

from onnxrank.artifact.manifest import KeyValueCache
from onnxrank.errors import UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.config_fields import refuse_unknown
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.decoder_inputs import FLOAT, INPUTS, DecoderInputs, Shape
from onnxrank.export.graph.grouped_query import GroupedQuery
from onnxrank.export.graph.heads import DecoderHead, Outputs
from onnxrank.export.graph.prefix_attention import PrefixAttention
from onnxrank.export.graph.rope import Rope, rope_of, rotary_tables
from onnxrank.export.graph.weights import Weights, prefix_of

HARMLESS = {"attention_dropout", "max_window_layers", "sliding_window"}
READ = {
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "rms_norm_eps", "attention_bias", "max_position_embeddings", "rope_theta",
    "rope_scaling", "rope_parameters", "layer_types",
}  # fmt: skip
FIXED = {"hidden_act": ("silu",), "use_sliding_window": (False, None)}
TABLE = "embed_tokens.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Qwen3:
    """A checkpoint's dimensions, read from its config.json."""

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
    rope: Rope

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Qwen3":
        """Raises UnsupportedError naming a config.json field that changes the arithmetic and is not handled."""
        config = checkpoint.config
        refuse_unknown(config, read=READ, harmless=HARMLESS, fixed=FIXED)
        if odd := set(config.get("layer_types") or []) - {"full_attention"}:
            raise UnsupportedError(
                f"config.json lists {odd.pop()!r} in layer_types, and only 'full_attention' is supported."
            )
        qwen2 = config["model_type"] == "qwen2"
        heads = int(config["num_attention_heads"])
        head_dim = int(config.get("head_dim") or config["hidden_size"] // heads)
        return cls(
            vocab=config["vocab_size"],
            hidden=config["hidden_size"],
            intermediate=config["intermediate_size"],
            layers=config["num_hidden_layers"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=head_dim,
            epsilon=config.get("rms_norm_eps", 1e-6),
            head_norms=not qwen2,
            input_bias=qwen2 or config.get("attention_bias", False),
            output_bias=config.get("attention_bias", False),
            rope=rope_of(config, head_dim),
        )

    @property
    def cache(self) -> KeyValueCache:
        return KeyValueCache(layers=self.layers, heads=self.kv_heads, head_dim=self.head_dim)


def build(checkpoint: Checkpoint, shape: Shape, max_length: int, head: DecoderHead) -> ir.Model:
    """Return the float32 graph, which ends with the outputs that `head` makes of the final hidden states.

    Raises CheckpointError for a missing or misshapen tensor, UnsupportedError for an unhandled config field.
    """
    return _Builder(checkpoint, Qwen3.of(checkpoint), shape, max_length).build(head)


def cache(checkpoint: Checkpoint) -> KeyValueCache:
    """Return the shape of the KV cache."""
    return Qwen3.of(checkpoint).cache


def output_weight_name(checkpoint: Checkpoint) -> str:
    """Return the name of the vocabulary projection: the embedding table itself where they are tied."""
    tied = checkpoint.config.get("tie_word_embeddings")
    return prefix_of(checkpoint, TABLE) + TABLE if tied else "lm_head.weight"


def vocabulary_head(checkpoint: Checkpoint) -> DecoderHead:
    """Return the head that gives a logit for every token of the vocabulary."""

    def head(b: GraphBuilder, hidden: ir.Value, rows: str) -> Outputs:
        dims = Qwen3.of(checkpoint)
        weight = Weights(b, checkpoint).matrix(output_weight_name(checkpoint), dims.vocab, dims.hidden)
        logits = b.op("MatMul", hidden, weight, name="logits")
        return {"logits": (logits, FLOAT, [rows, "sequence_length", dims.vocab])}

    return head


class _Builder:
    def __init__(self, checkpoint: Checkpoint, dims: Qwen3, shape: Shape, max_length: int) -> None:
        self.b = GraphBuilder()
        self.weights = Weights(self.b, checkpoint, prefix_of(checkpoint, TABLE))
        self.dims = dims
        self.shape = shape
        self.inputs: DecoderInputs = INPUTS[shape](self.b, dims.cache)
        self.presents: Outputs = {}
        cos, sin = rotary_tables(self.b, dims.rope, max_length)
        self.grouped = GroupedQuery(b=self.b, inputs=self.inputs, cache=dims.cache, heads=dims.heads, cos=cos, sin=sin)
        self.prefixed = PrefixAttention(self.b, self.grouped) if shape is Shape.PREFIX else None

    def build(self, head: DecoderHead) -> ir.Model:
        b, dims = self.b, self.dims
        residual = b.op(
            "Gather", self.weights.tensor(TABLE, (dims.vocab, dims.hidden)), self.inputs.token_ids, axis=0,
            name="embedding",
        )  # fmt: skip
        norm = self.weights.tensor("layers.0.input_layernorm.weight", (dims.hidden,))
        normed = b.op(
            "SimplifiedLayerNormalization", residual, norm, axis=-1, epsilon=dims.epsilon, stash_type=1,
            name="layers.0.input_norm",
        )  # fmt: skip
        for i in range(dims.layers):
            normed, residual = self._layer(i, normed, residual)
        rows = "documents" if self.shape is Shape.PREFIX else "batch_size"
        return b.model({**head(b, normed, rows), **self.presents})

    def _layer(self, i: int, normed: ir.Value, residual: ir.Value) -> tuple[ir.Value, ir.Value]:
        """One decoder layer: (normed input, residual) -> (normed input of the next layer, residual)."""
        dims, name = self.dims, f"layers.{i}"
        last = i + 1 == dims.layers
        attended = self._attention(i, normed)
        if last and self.inputs.select:
            # Only the scored positions matter from here on.
            attended = self.inputs.select(attended, "scored_attention")
            residual = self.inputs.select(residual, "scored_residual")
        width = dims.heads * dims.head_dim
        projected = self._linear(f"{name}.self_attn.o_proj", attended, dims.hidden, width, dims.output_bias)
        normed, residual = self._add_and_norm(f"{name}.post_attention_layernorm.weight", projected, residual)
        gate = self._linear(f"{name}.mlp.gate_proj", normed, dims.intermediate, dims.hidden)
        up = self._linear(f"{name}.mlp.up_proj", normed, dims.intermediate, dims.hidden)
        # With alpha 1, QuickGelu is SiLU.
        (gate,) = self.b.contrib("QuickGelu", gate, outputs=[f"{name}.mlp.silu"], alpha=1.0)
        product = self.b.op("Mul", gate, up, name=f"{name}.mlp.gated")
        down = self._linear(f"{name}.mlp.down_proj", product, dims.hidden, dims.intermediate)
        following = "norm.weight" if last else f"layers.{i + 1}.input_layernorm.weight"
        return self._add_and_norm(following, down, residual)

    def _attention(self, i: int, normed: ir.Value) -> ir.Value:
        dims, name = self.dims, f"layers.{i}.self_attn"
        query, key, value = (
            self._linear(f"{name}.{part}_proj", normed, heads * dims.head_dim, dims.hidden, dims.input_bias)
            for part, heads in (("q", dims.heads), ("k", dims.kv_heads), ("v", dims.kv_heads))
        )
        if dims.head_norms:
            query = self._head_norm(f"{name}.q_norm", query, dims.heads)
            key = self._head_norm(f"{name}.k_norm", key, dims.kv_heads)
        if self.prefixed:
            found = self.prefixed(query, key, value, i, name)
            size: list[int | str] = [dims.kv_heads, "documents", "present_length", dims.head_dim]
            self._keep(i, found["key"], found["value"], size)
            return found["output"]
        if not self.inputs.past:
            return self.grouped.without_past(query, key, value, name)
        attended, present_key, present_value = self.grouped(query, key, value, self.inputs.past[i], name)
        self._keep(i, present_key, present_value, ["batch_size", dims.kv_heads, "total_sequence_length", dims.head_dim])
        return attended

    def _keep(self, i: int, key: ir.Value, value: ir.Value, size: list[int | str]) -> None:
        for part, output in (("key", key), ("value", value)):
            self.presents[f"present.{i}.{part}"] = (output, FLOAT, size)

    def _head_norm(self, name: str, x: ir.Value, heads: int) -> ir.Value:
        """RMS norm of each head, in the one form that WebGPU fuses into its attention."""
        b, dims = self.b, self.dims
        split = b.constant([0, 0, heads, dims.head_dim], f"split_{heads}_heads")
        merge = b.constant([0, 0, heads * dims.head_dim], f"merge_{heads}_heads")
        weight = self.weights.tensor(f"{name}.weight", (dims.head_dim,))
        x = b.op("Reshape", x, split, name=f"{name}.split")
        x = b.op(
            "SimplifiedLayerNormalization",
            x,
            weight,
            axis=-1,
            epsilon=dims.epsilon,
            stash_type=1,
            name=f"{name}.norm",
        )
        return b.op("Reshape", x, merge, name=f"{name}.merge")

    def _add_and_norm(self, weight: str, x: ir.Value, residual: ir.Value) -> tuple[ir.Value, ir.Value]:
        stem = weight.removesuffix(".weight")
        normed, _, _, total = self.b.contrib(
            "SkipSimplifiedLayerNormalization",
            x,
            residual,
            self.weights.tensor(weight, (self.dims.hidden,)),
            outputs=[f"{stem}.normed", "", "", f"{stem}.residual"],
            epsilon=self.dims.epsilon,
        )
        return normed, total

    def _linear(self, name: str, x: ir.Value, outputs: int, inputs: int, bias: bool = False) -> ir.Value:
        return self.weights.linear(name, x, outputs, inputs, bias=bias)
