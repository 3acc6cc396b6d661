"""The graphs of an encoder with a head."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from onnxrank.export.architectures import ENCODERS
from onnxrank.export.architectures.architecture import Encoder, EncoderBody
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.encoder_inputs import EncoderInputs, encoder_inputs
from onnxrank.export.graph.heads import Outputs
from onnxrank.export.graph.weights import Weights, prefix_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """The input of a head: an encoder's hidden states [batch, sequence, hidden], after the final norm and before it."""

    normed: ir.Value
    raw: ir.Value
    inputs: EncoderInputs


Head = Callable[[GraphBuilder, Hidden], Outputs]


def build(checkpoint: Checkpoint, body: EncoderBody, head: Head, *, token_types: bool = True) -> ir.Model:
    """Return the float32 graph. token_types: whether the tokenizer gives them; if not, every token has type 0."""
    encoder = _architecture(checkpoint)
    b = GraphBuilder()
    inputs = encoder_inputs(b, token_types=token_types and encoder.token_types(checkpoint.config))
    weights = Weights(b, checkpoint, prefix_of(checkpoint, encoder.anchor))
    normed, raw = encoder.build(b, weights, checkpoint.config, inputs, body)
    return b.model(head(b, Hidden(normed=normed, raw=raw, inputs=inputs)))


def has_builder(config: Mapping[str, Any]) -> bool:
    """Whether this architecture has a builder."""
    return config.get("model_type") in ENCODERS


def positions(checkpoint: Checkpoint) -> int:
    """Return the length of the longest text, in tokens."""
    return _architecture(checkpoint).positions(checkpoint.config)


def _architecture(checkpoint: Checkpoint) -> Encoder:
    return ENCODERS[checkpoint.config["model_type"]]
