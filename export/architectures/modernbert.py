"""ModernBERT encoders: pre-norm layers and gated GELU; every third layer is global, the others are sliding, and the two
kinds have different RoPE parameters."""

from collections.abc import Mapping
from typing import Any

import onnx_ir as ir

from onnxrank.errors import CheckpointError, UnsupportedError
from onnxrank.export.architectures.architecture import Encoder, EncoderBody
from onnxrank.export.checkpoint.config_fields import head_dim, refuse_unknown
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.encoder_inputs import EncoderInputs, FullAttention
from onnxrank.export.graph.rope import rope_of, rotary_tables
from onnxrank.export.graph.sliding_attention import SlidingAttention
from onnxrank.export.graph.weights import Weights

HARMLESS = {
    "initializer_cutoff_factor", "attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout",
    "decoder_bias", "deterministic_flash_attn", "sparse_prediction", "sparse_pred_ignore_index", "reference_compile",
    "repad_logits_with_grad", "position_embedding_type", "classifier_pooling", "classifier_bias",
    "classifier_activation", "layer_norm_eps", "representation_contract",
}  # fmt: skip
READ = {
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "norm_eps",
    "norm_bias", "attention_bias", "mlp_bias", "max_position_embeddings", "global_attn_every_n_layers",
    "layer_types", "local_attention", "rope_parameters", "rope_scaling", "global_rope_theta", "local_rope_theta",
    "rope_theta", "sliding_window",
}  # fmt: skip
FULL, SLIDING = "full_attention", "sliding_attention"
THETAS = {FULL: ("global_rope_theta", 160_000.0), SLIDING: ("local_rope_theta", 10_000.0)}
ANCHOR = "embeddings.tok_embeddings.weight"


def build(
    b: GraphBuilder, weights: Weights, config: Mapping[str, Any], inputs: EncoderInputs, body: EncoderBody
) -> tuple[ir.Value, ir.Value]:
    """Return the hidden states [batch, sequence, hidden] with and without the final norm."""
    refuse_unknown(config, read=READ, harmless=HARMLESS, fixed={"hidden_activation": ("gelu",)})
    return _Builder(b, weights, config, inputs, body).build()


def positions(config: Mapping[str, Any]) -> int:
    """Return the length of the longest text, in tokens."""
    return int(config.get("max_position_embeddings", 8192))


class _Builder:
    def __init__(
        self, b: GraphBuilder, weights: Weights, config: Mapping[str, Any], inputs: EncoderInputs, body: EncoderBody
    ) -> None:
        self.b = b
        self.weights = weights
        self.config = config
        self.inputs = inputs
        self.body = body
        self.hidden = int(config["hidden_size"])
        self.heads = int(config["num_attention_heads"])
        self.head_dim = head_dim(config)
        self.types = _layer_types(config)[: body.layers]
        kinds = set(self.types)
        self.tables = {
            kind: rotary_tables(b, rope_of(_rope_config(config, kind), self.head_dim), body.max_length, f"{kind}.")
            for kind in sorted(kinds)
        }
        self.attentions: dict[str, FullAttention | SlidingAttention] = {}
        if FULL in kinds:
            self.attentions[FULL] = FullAttention(b, inputs, heads=self.heads, head_dim=self.head_dim)
        if SLIDING in kinds:
            self.attentions[SLIDING] = SlidingAttention(
                b,
                inputs,
                heads=self.heads,
                head_dim=self.head_dim,
                window=_window(config),
                masked_row=body.masked_row,
            )

    def build(self) -> tuple[ir.Value, ir.Value]:
        table = self.weights.tensor(ANCHOR, (int(self.config["vocab_size"]), self.hidden))
        embedded = self.b.op("Gather", table, self.inputs.token_ids, axis=0, name="embedding")
        residual = self._norm("embeddings.norm", embedded)
        normed = residual
        for i, kind in enumerate(self.types):
            normed, residual = self._layer(i, kind, normed, residual)
        return normed, residual

    def _layer(self, i: int, kind: str, normed: ir.Value, residual: ir.Value) -> tuple[ir.Value, ir.Value]:
        """One layer: (normed input, residual) -> (normed input of the next layer, residual)."""
        attended = self._attention(i, kind, normed)
        normed, residual = self._add_and_norm(f"layers.{i}.mlp_norm", attended, residual)
        last = i + 1 == len(self.types)
        following = "final_norm" if last else f"layers.{i + 1}.attn_norm"
        return self._add_and_norm(following, self._mlp(i, normed), residual)

    def _attention(self, i: int, kind: str, normed: ir.Value) -> ir.Value:
        b, name, width = self.b, f"layers.{i}.attn", self.hidden
        bias = bool(self.config.get("attention_bias", False))
        joint = self.weights.linear(f"{name}.Wqkv", normed, 3 * width, width, bias=bias)
        query, key, value = b.split(joint, 3, width, f"{name}.qkv")
        attended = self.attentions[kind](
            self._rotate(query, kind, f"{name}.query"), self._rotate(key, kind, f"{name}.key"), value, name
        )
        return self.weights.linear(f"{name}.Wo", attended, width, width, bias=bias)

    def _mlp(self, i: int, normed: ir.Value) -> ir.Value:
        b, name, width = self.b, f"layers.{i}.mlp", int(self.config["intermediate_size"])
        bias = bool(self.config.get("mlp_bias", False))
        joint = self.weights.linear(f"{name}.Wi", normed, 2 * width, self.hidden, bias=bias)
        raised, gate = b.split(joint, 2, width, f"{name}.halves")
        (raised,) = b.contrib("Gelu", raised, outputs=[f"{name}.gelu"])
        product = b.op("Mul", raised, gate, name=f"{name}.gated")
        return self.weights.linear(f"{name}.Wo", product, self.hidden, width, bias=bias)

    def _rotate(self, x: ir.Value, kind: str, name: str) -> ir.Value:
        (rotated,) = self.b.contrib(
            "RotaryEmbedding",
            x,
            self.b.constant([0], "axis_0"),  # positions count from 0
            *self.tables[kind],
            outputs=[f"{name}.rotated"],
            num_heads=self.heads,
            interleaved=0,
        )
        return rotated

    def _norm(self, name: str, x: ir.Value) -> ir.Value:
        scale, shift = self._norm_weights(name)
        return self.b.op(
            "LayerNormalization", x, scale, shift, axis=-1, epsilon=self._epsilon, stash_type=1, name=f"{name}.normed"
        )

    def _add_and_norm(self, name: str, x: ir.Value, residual: ir.Value) -> tuple[ir.Value, ir.Value]:
        scale, shift = self._norm_weights(name)
        normed, _, _, total = self.b.contrib(
            "SkipLayerNormalization", x, residual, scale, shift,
            outputs=[f"{name}.normed", "", "", f"{name}.residual"], epsilon=self._epsilon,
        )  # fmt: skip
        return normed, total

    def _norm_weights(self, name: str) -> tuple[ir.Value, ir.Value | None]:
        biased = bool(self.config.get("norm_bias", False))
        shift = self.weights.tensor(f"{name}.bias", (self.hidden,)) if biased else None
        return self.weights.tensor(f"{name}.weight", (self.hidden,)), shift

    @property
    def _epsilon(self) -> float:
        return float(self.config.get("norm_eps", 1e-5))


def _layer_types(config: Mapping[str, Any]) -> list[str]:
    if types := config.get("layer_types"):
        if odd := set(types) - {FULL, SLIDING}:
            raise UnsupportedError(
                f"config.json lists {odd.pop()!r:.60} in layer_types, and only {FULL!r} and {SLIDING!r} are supported."
            )
        return list(types)
    every = int(config.get("global_attn_every_n_layers", 3))
    return [SLIDING if i % every else FULL for i in range(int(config["num_hidden_layers"]))]


def _window(config: Mapping[str, Any]) -> int:
    """Return how many tokens are seen on either side: half of config.json's local_attention."""
    return int(config.get("local_attention", 128)) // 2


def _rope_config(config: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the rotary parameters of one kind of layer for `rope_of`, from either spelling of config.json."""
    theta, default = THETAS[kind]
    # A local theta of null means the global one.
    old = config.get(theta) or (config.get("global_rope_theta") if theta in config else None) or default
    given = (config.get("rope_parameters") or {}).get(kind) or {}
    if not isinstance(given, dict):
        raise CheckpointError(
            f"config.json sets {kind} under rope_parameters to {given!r:.60}, which is no object; "
            "download the checkpoint again."
        )
    parameters = {"rope_theta": old, **(config.get("rope_scaling") or {}), **given}
    return {"rope_parameters": parameters, "max_position_embeddings": positions(config)}


ENCODER = Encoder(build=build, anchor=ANCHOR, token_types=lambda config: False, positions=positions)
