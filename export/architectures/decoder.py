"""The graphs of a decoder with a head on its last token."""

from functools import partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.artifact.manifest import KeyValueCache
from onnxrank.errors import InputError
from onnxrank.export.architectures import DECODERS
from onnxrank.export.architectures.architecture import Decoder, Graphs
from onnxrank.export.architectures.decoder_body import TABLE
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.decoder_inputs import FLOAT, Shape
from onnxrank.export.graph.heads import DecoderHead, Outputs, Read
from onnxrank.export.graph.weights import Weights, prefix_of


def scoring_graphs(checkpoint: Checkpoint, max_length: int, head: DecoderHead) -> Graphs:
    """Return the padded, prefix and full-vocabulary graphs."""
    build = _architecture(checkpoint).build
    return Graphs(
        padded=partial(build, checkpoint, Shape.PADDED, max_length, head),
        prefix=partial(build, checkpoint, Shape.PREFIX, max_length, head),
        vocabulary=partial(build, checkpoint, Shape.LM, max_length, vocabulary_head(checkpoint)),
    )


def embedding_graphs(checkpoint: Checkpoint, max_length: int, head: DecoderHead) -> Graphs:
    """Return the padded graph only, because texts that are embedded one by one have no common prefix."""
    return Graphs(padded=partial(_architecture(checkpoint).build, checkpoint, Shape.PADDED, max_length, head))


def cache(checkpoint: Checkpoint) -> KeyValueCache:
    """Return the shape of the KV cache."""
    return _architecture(checkpoint).cache(checkpoint)


def longest(checkpoint: Checkpoint, wanted: int | None, default: int) -> int:
    """Return `wanted`, or `default` if the model has that many positions. Raises as `within` does."""
    positions = int(checkpoint.config.get("max_position_embeddings") or default)
    return within(positions, wanted, default)


def within(positions: int, wanted: int | None, default: int) -> int:
    """Return `wanted`, or the smaller of `default` and `positions`. Raises InputError if `wanted` is more."""
    if wanted is not None and wanted > positions:
        raise InputError(f"--max-length {wanted} is more than the {positions} positions of this model.")
    return wanted or min(default, positions)


def body_prefix(checkpoint: Checkpoint) -> str:
    """Return the prefix of the names of the body's tensors."""
    return prefix_of(checkpoint, TABLE)


def output_weight_name(checkpoint: Checkpoint) -> str:
    """Return the name of the vocabulary projection: the embedding table itself if the two are tied."""
    tied = checkpoint.config.get("tie_word_embeddings")
    return body_prefix(checkpoint) + TABLE if tied else "lm_head.weight"


def answer_weight(checkpoint: Checkpoint, true: int, false: int | None) -> Read:
    """Return a function that reads the vector whose dot product with a hidden state is logit(true) - logit(false), or
    logit(true) if `false` is None.

    The vocabulary projection has no bias, so the vector is the difference of two of its rows.
    """

    def read() -> NDArray[np.float32]:
        rows = checkpoint.rows(output_weight_name(checkpoint), [true] if false is None else [true, false])
        vector: NDArray[np.float32] = rows[0] if false is None else rows[0] - rows[1]
        return vector

    return read


def vocabulary_head(checkpoint: Checkpoint) -> DecoderHead:
    """Return the head that computes a logit for every token of the vocabulary."""

    def head(b: GraphBuilder, hidden: ir.Value, rows: str) -> Outputs:
        vocab, width = int(checkpoint.config["vocab_size"]), int(checkpoint.config["hidden_size"])
        weight = Weights(b, checkpoint).matrix(output_weight_name(checkpoint), vocab, width)
        logits = b.op("MatMul", hidden, weight, name="logits")
        return {"logits": (logits, FLOAT, [rows, "sequence_length", vocab])}

    return head


def _architecture(checkpoint: Checkpoint) -> Decoder:
    return DECODERS[checkpoint.config["model_type"]]
