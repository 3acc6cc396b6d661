"""What an architecture has to provide to the exporter."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from onnxrank.artifact.manifest import KeyValueCache
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.decoder_inputs import Shape
from onnxrank.export.graph.encoder_inputs import EncoderInputs
from onnxrank.export.graph.heads import DecoderHead
from onnxrank.export.graph.weights import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """build(checkpoint, shape, max_length, head) returns the float32 graph; cache returns the KV cache's shape."""

    build: Callable[[Checkpoint, Shape, int, DecoderHead], ir.Model]
    cache: Callable[[Checkpoint], KeyValueCache]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderBody:
    """The parameters of an encoder's layers besides weights and inputs.

    layers: how many to build. max_length: tokens of the longest text. masked_row: the attention output of a token that
    sees no other in a sliding layer; None if no such token affects the result.
    """

    layers: int
    max_length: int
    masked_row: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """An encoder's layers.

    build returns the last layer's hidden states after the final norm and before it (twice the same value if there is no
    final norm). anchor: the tensor that tells which prefix the tensor names have. positions(config): tokens of the
    longest text.
    """

    build: Callable[[GraphBuilder, Weights, Mapping[str, Any], EncoderInputs, EncoderBody], tuple[ir.Value, ir.Value]]
    anchor: str
    token_types: Callable[[Mapping[str, Any]], bool]
    positions: Callable[[Mapping[str, Any]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graphs:
    """The float32 graphs of a model, as functions that build them.

    padded: for padded rows. prefix: for a decoder's documents behind a cached prefix. exits: the other exits of a
    matryoshka model, by layer count. vocabulary: the graph for `--head lm`.
    """

    padded: Callable[[], ir.Model]
    prefix: Callable[[], ir.Model] | None = None
    exits: Mapping[int, Callable[[], ir.Model]] = field(default_factory=dict)
    vocabulary: Callable[[], ir.Model] | None = None
