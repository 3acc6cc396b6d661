"""Adds a checkpoint's tensors to a graph as weights, and checks their names and shapes."""

from collections.abc import Sequence

import onnx_ir as ir

from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.graph.builder import GraphBuilder

# Prefixes of the body's tensor names; they depend on the class that saved the model.
PREFIXES = ("model.", "", "backbone.", "backbone.model.", "bert.", "roberta.", "encoder.", "base_model.")


class Weights:
    """Reads the tensors whose names start with `prefix`."""

    def __init__(self, b: GraphBuilder, checkpoint: Checkpoint, prefix: str = "") -> None:
        self.b = b
        self._checkpoint = checkpoint
        self._prefix = prefix

    def tensor(self, name: str, shape: Sequence[int], *, as_name: str | None = None) -> ir.Value:
        """Return a tensor unchanged; its name in the graph is `as_name`, or its own."""
        full = self._prefix + name
        self._checkpoint.require(full, shape)
        return self.b.weight(as_name or full, shape, lambda: self._checkpoint.tensor(full))

    def matrix(self, name: str, outputs: int, inputs: int, *, as_name: str | None = None) -> ir.Value:
        """Return a linear layer's weight, transposed: MatMul multiplies from the right."""
        full = self._prefix + name
        self._checkpoint.require(full, (outputs, inputs))
        return self.b.weight(as_name or f"{full}.T", (inputs, outputs), lambda: self._checkpoint.tensor(full).T)

    def linear(
        self, name: str, x: ir.Value, outputs: int, inputs: int, *, bias: bool, as_name: str | None = None
    ) -> ir.Value:
        """Return x W^T + b of the layer called `name`."""
        weight = self.matrix(f"{name}.weight", outputs, inputs, as_name=as_name and f"{as_name}.weight")
        y = self.b.op("MatMul", x, weight, name=f"{as_name or name}.product")
        if bias:
            added = self.tensor(f"{name}.bias", (outputs,), as_name=as_name and f"{as_name}.bias")
            y = self.b.op("Add", y, added, name=f"{as_name or name}.sum")
        return y


def prefix_of(checkpoint: Checkpoint, name: str) -> str:
    """Return the prefix of `name`, a tensor of the model's body, in this checkpoint.

    If no prefix matches, return the first of PREFIXES, so that the error message names the usual place.
    """
    return next((prefix for prefix in PREFIXES if prefix + name in checkpoint.tensors), PREFIXES[0])
