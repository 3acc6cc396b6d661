"""BERT and XLM-RoBERTa encoders: post-norm layers, absolute positions, GELU."""

from collections.abc import Mapping
from typing import Any

import onnx_ir as ir

from onnxrank.export.architectures.architecture import Encoder, EncoderBody
from onnxrank.export.checkpoint.config_fields import head_dim, refuse_unknown
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.encoder_inputs import EncoderInputs, FullAttention
from onnxrank.export.graph.weights import Weights

HARMLESS = {"hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"}
READ = {
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "layer_norm_eps",
    "max_position_embeddings", "type_vocab_size",
}  # fmt: skip
FIXED = {"hidden_act": ("gelu",), "position_embedding_type": ("absolute", None), "is_decoder": (False,)}
ANCHOR = "embeddings.word_embeddings.weight"


def build(
    b: GraphBuilder, weights: Weights, config: Mapping[str, Any], inputs: EncoderInputs, body: EncoderBody
) -> tuple[ir.Value, ir.Value]:
    """Return the hidden states [batch, sequence, hidden] twice: BERT has no final norm after its layers."""
    refuse_unknown(config, read=READ, harmless=HARMLESS, fixed=FIXED)
    hidden = _Builder(b, weights, config, inputs, body).build()
    return hidden, hidden


def token_types(config: Mapping[str, Any]) -> bool:
    """Whether the model has token types for the two texts of a pair."""
    return int(config.get("type_vocab_size", 0)) > 1


def positions(config: Mapping[str, Any]) -> int:
    """Return the length of the longest text, in tokens."""
    return int(config["max_position_embeddings"]) - _offset(config)


def _offset(config: Mapping[str, Any]) -> int:
    """Return the first position: RoBERTa counts from the padding token's id + 1."""
    return 0 if config["model_type"] == "bert" else int(config.get("pad_token_id", 1)) + 1


class _Builder:
    def __init__(
        self, b: GraphBuilder, weights: Weights, config: Mapping[str, Any], inputs: EncoderInputs, body: EncoderBody
    ) -> None:
        self.b = b
        self.weights = weights
        self.config = config
        self.inputs = inputs
        self.layers = body.layers
        self.hidden = int(config["hidden_size"])
        self.heads = int(config["num_attention_heads"])
        self.attention = FullAttention(b, inputs, heads=self.heads, head_dim=head_dim(config))

    def build(self) -> ir.Value:
        b, config = self.b, self.config
        words = b.op("Gather", self._table("word", config["vocab_size"]), self.inputs.token_ids, axis=0)
        types = self._table("token_type", config["type_vocab_size"])
        # Without a token_type_ids input, every token has type 0.
        ids = self.inputs.token_type_ids or b.constant(0, "zero")
        typed = b.op("Add", words, b.op("Gather", types, ids, axis=0), name="typed_words")
        place = b.op("Add", self.inputs.positions, b.constant(_offset(config), "position_offset"))
        places = b.op("Gather", self._table("position", config["max_position_embeddings"]), place, axis=0)
        x = self._add_and_norm("embeddings.LayerNorm", typed, places)
        for i in range(self.layers):
            x = self._layer(f"encoder.layer.{i}", x)
        return x

    def _layer(self, name: str, x: ir.Value) -> ir.Value:
        hidden, width = self.hidden, int(self.config["intermediate_size"])
        query, key, value = (
            self.weights.linear(f"{name}.attention.self.{part}", x, hidden, hidden, bias=True)
            for part in ("query", "key", "value")
        )
        attended = self.attention(query, key, value, f"{name}.attention")
        attended = self.weights.linear(f"{name}.attention.output.dense", attended, hidden, hidden, bias=True)
        x = self._add_and_norm(f"{name}.attention.output.LayerNorm", attended, x)
        raised = self.weights.linear(f"{name}.intermediate.dense", x, width, hidden, bias=False)
        bias = self.weights.tensor(f"{name}.intermediate.dense.bias", (width,))
        (raised,) = self.b.contrib("BiasGelu", raised, bias, outputs=[f"{name}.intermediate.gelu"])
        lowered = self.weights.linear(f"{name}.output.dense", raised, hidden, width, bias=True)
        return self._add_and_norm(f"{name}.output.LayerNorm", lowered, x)

    def _add_and_norm(self, name: str, x: ir.Value, residual: ir.Value) -> ir.Value:
        (normed,) = self.b.contrib(
            "SkipLayerNormalization", x, residual,
            self.weights.tensor(f"{name}.weight", (self.hidden,)), self.weights.tensor(f"{name}.bias", (self.hidden,)),
            outputs=[f"{name}.normed"], epsilon=float(self.config.get("layer_norm_eps", 1e-12)),
        )  # fmt: skip
        return normed

    def _table(self, part: str, rows: int) -> ir.Value:
        return self.weights.tensor(f"embeddings.{part}_embeddings.weight", (rows, self.hidden))


ENCODER = Encoder(build=build, anchor=ANCHOR, token_types=token_types, positions=positions)
