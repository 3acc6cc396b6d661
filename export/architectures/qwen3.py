"""Qwen3 decoders: pre-norm layers, RMS-normalised queries and keys, grouped-query attention, gated SiLU."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.errors import UnsupportedError
from onnxrank.export.checkpoint import Checkpoint
from onnxrank.export.decoder_inputs import (
    FLOAT,
    INPUTS,
    DecoderInputs,
    Shape,
)
from onnxrank.export.graph import GraphBuilder
from onnxrank.export.rope import Rope, rope_of
from onnxrank.manifest import KeyValueCache

# Fields that change nothing in inference arithmetic. Any field that is neither here nor read below is refused:
# what is not understood may change the scores.
HARMLESS = {
    "architectures", "model_type", "_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache",
    "initializer_range", "attention_dropout", "pad_token_id", "bos_token_id", "eos_token_id", "id2label",
    "label2id", "problem_type", "return_dict", "output_hidden_states", "output_attentions", "is_encoder_decoder",
    "chunk_size_feed_forward", "max_window_layers", "sliding_window", "sentence_transformers", "_attn_implementation",
}  # fmt: skip
READ = {
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "rms_norm_eps", "tie_word_embeddings", "attention_bias",
    "max_position_embeddings", "rope_theta", "rope_scaling", "rope_parameters", "hidden_act",
    "use_sliding_window", "layer_types",
}  # fmt: skip


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
    tied: bool
    attention_bias: bool
    rope: Rope

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Qwen3":
        """Raises UnsupportedError naming a config.json field that changes the arithmetic and is not handled."""
        config = checkpoint.config
        _refuse_unknown(config)
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
            tied=config.get("tie_word_embeddings", False),
            attention_bias=config.get("attention_bias", False),
            rope=rope_of(config, head_dim),
        )

    @property
    def cache(self) -> KeyValueCache:
        return KeyValueCache(layers=self.layers, heads=self.kv_heads, head_dim=self.head_dim)


def build(
    checkpoint: Checkpoint, *, shape: Shape, max_length: int, score_weight: Callable[[], NDArray[np.float32]]
) -> ir.Model:
    """Return the float32 graph. `score_weight` gives the head, [hidden]: score = final hidden state · weight.

    Raises CheckpointError for a missing or misshapen tensor, UnsupportedError for an unhandled config field.
    """
    return _Builder(checkpoint, Qwen3.of(checkpoint), shape, max_length).build(score_weight)


def cache(checkpoint: Checkpoint) -> KeyValueCache:
    """Return the shape of the KV cache."""
    return Qwen3.of(checkpoint).cache


def output_weight_name(checkpoint: Checkpoint) -> str:
    """Return the name of the vocabulary projection: the embedding table itself where they are tied."""
    return "model.embed_tokens.weight" if checkpoint.config.get("tie_word_embeddings") else "lm_head.weight"


def _refuse_unknown(config: dict[str, object]) -> None:
    fixed: dict[str, tuple[object, ...]] = {"hidden_act": ("silu",), "use_sliding_window": (False, None)}
    for name, allowed in fixed.items():
        if name in config and config[name] not in allowed:
            raise UnsupportedError(
                f"config.json sets {name} to {config[name]!r}, and only {allowed[0]!r} is supported."
            )
    layer_types = config.get("layer_types") or []
    if isinstance(layer_types, list) and (odd := set(layer_types) - {"full_attention"}):
        raise UnsupportedError(
            f"config.json lists {odd.pop()!r} in layer_types, and only 'full_attention' is supported."
        )
    for name, value in config.items():
        if name not in HARMLESS | READ and value not in (None, False, {}, []):
            raise UnsupportedError(
                f"config.json sets {name} to {value!r:.60}, which may change the scores and is not supported; "
                "remove the field from config.json if it has no effect."
            )


class _Builder:
    def __init__(self, checkpoint: Checkpoint, dims: Qwen3, shape: Shape, max_length: int) -> None:
        self.b = GraphBuilder()
        self.checkpoint = checkpoint
        self.dims = dims
        self.shape = shape
        self.inputs: DecoderInputs = INPUTS[shape](self.b, dims.cache)
        self.presents: dict[str, tuple[ir.Value, ir.DataType, list[int | str]]] = {}
        self.cos, self.sin = self._rotary(max_length)

    def build(self, score_weight: Callable[[], NDArray[np.float32]]) -> ir.Model:
        b, dims = self.b, self.dims
        table = self._weight("model.embed_tokens.weight", (dims.vocab, dims.hidden))
        residual = b.op("Gather", table, self.inputs.token_ids, axis=0, name="embedding")
        norm = self._weight("model.layers.0.input_layernorm.weight", (dims.hidden,))
        normed = b.op(
            "SimplifiedLayerNormalization", residual, norm, axis=-1, epsilon=dims.epsilon, stash_type=1,
            name="layers.0.input_norm",
        )  # fmt: skip
        for i in range(dims.layers):
            normed, residual = self._layer(i, normed, residual)
        if self.shape is Shape.LM:
            name = output_weight_name(self.checkpoint)
            output = b.op("MatMul", normed, self._matrix(name, dims.vocab, dims.hidden), name="logits")
            size: list[int | str] = ["batch_size", "sequence_length", dims.vocab]
        else:
            weight = b.weight("score.weight", (dims.hidden, 1), lambda: score_weight()[:, None])
            output = b.op("MatMul", normed, weight, name="logits")
            size = ["documents" if self.shape is Shape.PACKED else "batch_size", 1]
        return b.model({"logits": (output, FLOAT, size), **self.presents})

    def _layer(self, i: int, normed: ir.Value, residual: ir.Value) -> tuple[ir.Value, ir.Value]:
        """One decoder layer: (normed input, residual) -> (normed input of the next layer, residual)."""
        dims, name = self.dims, f"model.layers.{i}"
        last = i + 1 == dims.layers
        attended = self._attention(i, normed)
        if last and self.inputs.select:
            # Only the scored positions matter from here on.
            attended = self.inputs.select(attended, "scored_attention")
            residual = self.inputs.select(residual, "scored_residual")
        width = dims.heads * dims.head_dim
        projected = self._linear(f"{name}.self_attn.o_proj", attended, dims.hidden, width, dims.attention_bias)
        normed, residual = self._add_and_norm(f"{name}.post_attention_layernorm.weight", projected, residual)
        gate = self._linear(f"{name}.mlp.gate_proj", normed, dims.intermediate, dims.hidden)
        up = self._linear(f"{name}.mlp.up_proj", normed, dims.intermediate, dims.hidden)
        # With alpha 1, QuickGelu is SiLU.
        (gate,) = self.b.contrib("QuickGelu", gate, outputs=[f"{name}.mlp.silu"], alpha=1.0)
        product = self.b.op("Mul", gate, up, name=f"{name}.mlp.gated")
        down = self._linear(f"{name}.mlp.down_proj", product, dims.hidden, dims.intermediate)
        following = "model.norm.weight" if last else f"model.layers.{i + 1}.input_layernorm.weight"
        return self._add_and_norm(following, down, residual)

    def _attention(self, i: int, normed: ir.Value) -> ir.Value:
        b, dims, name = self.b, self.dims, f"model.layers.{i}.self_attn"
        query, key, value = (
            self._linear(f"{name}.{part}_proj", normed, heads * dims.head_dim, dims.hidden, dims.attention_bias)
            for part, heads in (("q", dims.heads), ("k", dims.kv_heads), ("v", dims.kv_heads))
        )
        past_key, past_value = self.inputs.past[i] if self.inputs.past else (None, None)
        attended, *present = b.contrib(
            "GroupQueryAttention",
            self._head_norm(f"{name}.q_norm", query, dims.heads),
            self._head_norm(f"{name}.k_norm", key, dims.kv_heads),
            value,
            past_key,
            past_value,
            self.inputs.seqlens_k,
            self.inputs.total_length,
            self.cos,
            self.sin,
            self.inputs.position_ids,
            self.inputs.attention_bias,
            # Flash attention on the CPU needs the present outputs, also where nobody reads them.
            outputs=[f"{name}.attended", f"present.{i}.key", f"present.{i}.value"],
            num_heads=dims.heads,
            kv_num_heads=dims.kv_heads,
            scale=float(dims.head_dim**-0.5),
            do_rotary=1,
            rotary_interleaved=0,
        )
        if self.inputs.past:
            for part, output in zip(("key", "value"), present, strict=True):
                batch: int | str = 1 if self.shape is Shape.PACKED else "batch_size"
                size = [batch, dims.kv_heads, "total_sequence_length", dims.head_dim]
                self.presents[f"present.{i}.{part}"] = (output, FLOAT, size)
        return attended

    def _head_norm(self, name: str, x: ir.Value, heads: int) -> ir.Value:
        """RMS norm of each head, in the one form that WebGPU fuses into its attention."""
        b, dims = self.b, self.dims
        split = b.constant([0, 0, heads, dims.head_dim], f"split_{heads}_heads")
        merge = b.constant([0, 0, heads * dims.head_dim], f"merge_{heads}_heads")
        weight = self._weight(f"{name}.weight", (dims.head_dim,))
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
            self._weight(weight, (self.dims.hidden,)),
            outputs=[f"{stem}.normed", "", "", f"{stem}.residual"],
            epsilon=self.dims.epsilon,
        )
        return normed, total

    def _linear(self, name: str, x: ir.Value, outputs: int, inputs: int, bias: bool = False) -> ir.Value:
        y = self.b.op("MatMul", x, self._matrix(f"{name}.weight", outputs, inputs), name=f"{name}.product")
        if bias:
            y = self.b.op("Add", y, self._weight(f"{name}.bias", (outputs,)), name=f"{name}.sum")
        return y

    def _weight(self, name: str, shape: tuple[int, ...]) -> ir.Value:
        self.checkpoint.require(name, shape)
        return self.b.weight(name, shape, lambda: self.checkpoint.tensor(name))

    def _matrix(self, name: str, outputs: int, inputs: int) -> ir.Value:
        """A linear layer's weight, transposed: MatMul multiplies from the right."""
        self.checkpoint.require(name, (outputs, inputs))
        return self.b.weight(f"{name}.T", (inputs, outputs), lambda: self.checkpoint.tensor(name).T)

    def _rotary(self, max_length: int) -> tuple[ir.Value, ir.Value]:
        """cos and sin of every angle, [max_length, head_dim / 2]; constant, so the session folds them at load."""
        b = self.b
        positions = b.op("Range", b.constant(0, "zero"), b.constant(max_length, "max_length"), b.constant(1, "one"))
        column = b.op("Unsqueeze", b.op("Cast", positions, to=FLOAT), b.constant([1], "axis_1"))
        angles = b.op("Mul", column, b.constant(self.dims.rope.frequencies[None], "rotary_frequencies"))
        scale = b.constant(float(self.dims.rope.scale), "rotary_scale")
        cos = b.op("Mul", b.op("Cos", angles), scale, name="cos_cache")
        return cos, b.op("Mul", b.op("Sin", angles), scale, name="sin_cache")
