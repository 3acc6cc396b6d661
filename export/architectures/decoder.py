"""The graphs of a decoder with a head on its last token."""

from functools import partial

from onnxrank.artifact.manifest import KeyValueCache
from onnxrank.errors import InputError
from onnxrank.export.architectures import DECODERS
from onnxrank.export.architectures.architecture import Decoder, Graphs
from onnxrank.export.architectures.qwen3 import TABLE, vocabulary_head
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.graph.decoder_inputs import Shape
from onnxrank.export.graph.heads import DecoderHead
from onnxrank.export.graph.weights import prefix_of


def scoring_graphs(checkpoint: Checkpoint, max_length: int, head: DecoderHead) -> Graphs:
    """Return the padded, prefix and full-vocabulary graphs."""
    build = _architecture(checkpoint).build
    return Graphs(
        padded=partial(build, checkpoint, Shape.PADDED, max_length, head),
        prefix=partial(build, checkpoint, Shape.PREFIX, max_length, head),
        vocabulary=partial(build, checkpoint, Shape.LM, max_length, vocabulary_head(checkpoint)),
    )


def embedding_graphs(checkpoint: Checkpoint, max_length: int, head: DecoderHead) -> Graphs:
    """Return the padded graph alone: texts that are embedded one by one share no prefix."""
    return Graphs(padded=partial(_architecture(checkpoint).build, checkpoint, Shape.PADDED, max_length, head))


def cache(checkpoint: Checkpoint) -> KeyValueCache:
    """Return the shape of the KV cache."""
    return _architecture(checkpoint).cache(checkpoint)


def longest(checkpoint: Checkpoint, wanted: int | None, default: int) -> int:
    """Return max_length: as asked, or the default as far as the model has positions."""
    positions = int(checkpoint.config.get("max_position_embeddings") or default)
    return within(positions, wanted, default)


def within(positions: int, wanted: int | None, default: int) -> int:
    """Return `wanted`, or `default` as far as there are positions. Raises InputError for more than these."""
    if wanted is not None and wanted > positions:
        raise InputError(f"--max-length {wanted} is more than the {positions} positions of this model.")
    return wanted or min(default, positions)


def body_prefix(checkpoint: Checkpoint) -> str:
    """Return what stands before the names of the body's tensors."""
    return prefix_of(checkpoint, TABLE)


def _architecture(checkpoint: Checkpoint) -> Decoder:
    return DECODERS[checkpoint.config["model_type"]]
