"""The heads of models: a score, or L2-normalised embeddings."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.export.graph.builder import Dimension, GraphBuilder
from onnxrank.export.graph.decoder_inputs import FLOAT

# Prefix of the head's weights, which are never quantized, because they are small and decide the score.
EXACT = "score."
# The smallest divisor of PyTorch's normalize.
SMALLEST_NORM = 1e-12

# By name of an output: its value, dtype and shape.
Outputs = dict[str, tuple[ir.Value, ir.DataType, list[Dimension]]]
# A decoder's head: takes the final hidden states [rows, hidden] and the name of their first axis, returns the outputs.
DecoderHead = Callable[[GraphBuilder, ir.Value, str], Outputs]
Read = Callable[[], NDArray[np.float32]]


def linear_score(hidden_size: int, weight: Read, bias: Read | None = None) -> DecoderHead:
    """Return a head whose logit is hidden · weight + bias; weight [hidden_size], bias [1]."""

    def head(b: GraphBuilder, hidden: ir.Value, rows: str) -> Outputs:
        column = b.weight(f"{EXACT}weight", (hidden_size, 1), lambda: weight()[:, None])
        product = b.op("MatMul", hidden, column, name="logits" if bias is None else "product")
        if bias is not None:
            product = b.op("Add", product, b.weight(f"{EXACT}bias", (1,), bias), name="logits")
        return logits(product, rows)

    return head


def logits(value: ir.Value, rows: str = "batch_size", columns: int = 1) -> Outputs:
    """Return the outputs of a graph that computes scores."""
    return {"logits": (value, FLOAT, [rows, columns])}


def embeddings(b: GraphBuilder, vectors: ir.Value, dim: int, *, per_token: bool) -> Outputs:
    """Return the outputs of a graph that computes L2-normalised vectors."""
    norm = b.op("ReduceL2", vectors, b.constant([-1], "last_axis"), keepdims=1)
    norm = b.op("Max", norm, b.constant(SMALLEST_NORM, "smallest_norm"))
    name = "token_embeddings" if per_token else "embeddings"
    shape: Sequence[Dimension] = ["batch_size", "sequence_length", dim] if per_token else ["batch_size", dim]
    return {name: (b.op("Div", vectors, norm, name=name), FLOAT, list(shape))}
