"""Graphs of classifiers whose architecture has no builder here: traced by PyTorch's own exporter.

The tracer runs as a process of its own. Its graph reads rows padded on the right; rows padded on the left are rolled
first. What ONNX Runtime cannot fuse in it stays slow: a traced graph is right, not fast.
"""

from functools import cache
from pathlib import Path

import onnx_ir as ir

from onnxrank.export.checkpoint import Checkpoint


def classifier(checkpoint: Checkpoint) -> ir.Model:
    """Return the traced float32 graph of a checkpoint of transformers' AutoModelForSequenceClassification.

    Raises UnsupportedError if PyTorch cannot trace it, or it has other outputs than one logit.
    """
    return ir.load(_trace(checkpoint.folder))


@cache
def _trace(folder: Path) -> Path:
    raise NotImplementedError
