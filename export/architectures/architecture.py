"""What the exporter asks of an architecture."""

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
    """build(checkpoint, shape, max_length, head) gives the float32 graph; cache the KV cache's shape."""

    build: Callable[[Checkpoint, Shape, int, DecoderHead], ir.Model]
    cache: Callable[[Checkpoint], KeyValueCache]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderBody:
    """What an encoder's layers need besides its weights and inputs.

    layers: how many of them to build. max_length: of the longest text, in tokens. masked_row: what a token gets that
    sees nothing in a sliding layer; None if no such token matters.
    """

    layers: int
    max_length: int
    masked_row: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """An encoder's layers.

    build gives the hidden states after the last layer and its norm, and before that norm (the same value where there
    is none). anchor: the tensor by which the names' prefix is found. positions(config): the longest text.
    """

    build: Callable[[GraphBuilder, Weights, Mapping[str, Any], EncoderInputs, EncoderBody], tuple[ir.Value, ir.Value]]
    anchor: str
    token_types: Callable[[Mapping[str, Any]], bool]
    positions: Callable[[Mapping[str, Any]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graphs:
    """The float32 graphs of a model; each function builds one anew.

    padded: padded rows. prefix: a decoder's documents behind a cached prefix. exits: the other exits of a matryoshka
    model, by layers. vocabulary: what `--head lm` asks for.
    """

    padded: Callable[[], ir.Model]
    prefix: Callable[[], ir.Model] | None = None
    exits: Mapping[int, Callable[[], ir.Model]] = field(default_factory=dict)
    vocabulary: Callable[[], ir.Model] | None = None
