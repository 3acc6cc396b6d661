"""Rotates the activations of a decoder, so that no channel is an outlier: 8 bits a token then lose less.

A rotation of the residual stream changes nothing else: whatever writes to the stream is multiplied by it, whatever
reads from the stream by its inverse, and RMS norms have the same result in every basis once their gains are folded into
the matrices that follow (SliceGPT 2024, QuaRot 2024). The values of attention have a rotation of their own, for each
key-value head.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.weights import drop_unused_weights, embedding_gathers, initializer, lazy, static_shape

Floats = NDArray[np.float64]
FIRST_NORM, NORM = "SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"
SEED = 0
VALUE, OUTPUT = re.compile(r"(.*)\.v_proj\.weight\.T"), "{}.o_proj.weight.T"


def rotate(model: ir.Model, hessians: Hessians) -> bool:
    """Rotate the graph in place and return True; if it has no residual stream between RMS norms, leave it unchanged and
    return False.

    hessians: follows the weights into the new basis.
    """
    stream = _Stream.of(model)
    if stream is None:
        return False
    _rotate_values(model, hessians)
    _rotate_stream(model, stream, hessians)
    drop_unused_weights(model)
    return True


@cache
def rotation(size: int) -> Floats:
    """Return an orthogonal matrix [size, size] whose entries have about the same magnitude, always the same for a size:
    a Hadamard matrix of the largest power of two, times a cosine transform for the odd factor, with random signs."""
    odd = size // (size & -size)
    angles = np.pi / odd * (np.arange(odd) + 0.5) * np.arange(odd)[:, None]
    cosines = np.cos(angles) * np.sqrt(2 / odd)
    cosines[0] /= np.sqrt(2)
    matrix = cosines
    while len(matrix) < size:
        matrix = np.kron(matrix, np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2))
    signs: Floats = np.random.default_rng(SEED).choice([-1.0, 1.0], size)
    rotated: Floats = matrix * signs[:, None]
    return rotated


@dataclass(frozen=True, slots=True)
class _Stream:
    """What touches the residual stream. readers: matrices behind a norm, with the norm's gain."""

    width: int
    tables: list[ir.Value] = field(default_factory=list)
    writers: list[ir.Value] = field(default_factory=list)
    biases: list[ir.Value] = field(default_factory=list)
    readers: dict[ir.Value, ir.Value] = field(default_factory=dict)
    norms: list[ir.Node] = field(default_factory=list)

    @classmethod
    def of(cls, model: ir.Model) -> "_Stream | None":
        """Return the stream, or None if anything but RMS norms and constant matrices touches it."""
        found = next(iter(sorted(embedding_gathers(model), key=lambda gather: -gather.shape[0])), None)
        if found is None:
            return None
        stream = cls(width=found.shape[1])
        try:
            stream.tables.append(found.weight)
            stream._follow(found.node.outputs[0])
        except _Foreign:
            return None
        return stream if stream.norms else None

    def _follow(self, residual: ir.Value) -> None:
        """Collect what reads a value of the stream, and the values that come after it."""
        for node, index in residual.uses():
            if node.op_type == "GatherND" and index == 0:
                self._follow(node.outputs[0])
            elif node.op_type == FIRST_NORM and index == 0:
                self._add_norm(node, node.inputs[1])
            elif node.op_type == NORM and index == 1:
                self._write(node.inputs[0])
                self._add_norm(node, node.inputs[2])
                if len(node.outputs) > 3:
                    self._follow(node.outputs[3])
            else:
                raise _Foreign

    def _add_norm(self, node: ir.Node, gain: ir.Value | None) -> None:
        if gain is None or gain.const_value is None:
            raise _Foreign
        self.norms.append(node)
        self._read(node.outputs[0], gain)

    def _read(self, normed: ir.Value, gain: ir.Value) -> None:
        if normed.is_graph_output():
            raise _Foreign
        for node, index in normed.uses():
            if node.op_type == "GatherND" and index == 0:
                self._read(node.outputs[0], gain)
                continue
            weight = node.inputs[1] if node.op_type == "MatMul" and index == 0 else None
            if weight is None or not weight.is_initializer() or self.readers.get(weight, gain) is not gain:
                raise _Foreign
            self.readers[weight] = gain

    def _write(self, value: ir.Value | None) -> None:
        """Collect the matrix, and its bias, that computed a value that is added to the stream."""
        node = value.producer() if value else None
        if node is not None and node.op_type == "Add":
            product, bias = node.inputs
            if bias is None or not bias.is_initializer():
                raise _Foreign
            self.biases.append(bias)
            node = product.producer() if product else None
        weight = node.inputs[1] if node is not None and node.op_type == "MatMul" else None
        if weight is None or not weight.is_initializer():
            raise _Foreign
        self.writers.append(weight)


class _Foreign(Exception):
    """The graph has another structure."""


def _rotate_stream(model: ir.Model, stream: _Stream, hessians: Hessians) -> None:
    matrix = rotation(stream.width)
    for weight in (*stream.tables, *stream.writers, *stream.biases):
        change_weight(weight, lambda values: values @ matrix)
    for weight, gain in stream.readers.items():
        assert gain.const_value is not None
        gains = gain.const_value.numpy().astype(np.float64)
        change_weight(weight, partial(_fold, gains, matrix))
        # A gain of 0 ends a channel, whose moments are then unknown.
        inverse = np.divide(1, gains, out=np.zeros_like(gains), where=gains != 0)
        hessians.change_basis(str(weight.name), partial(_fold, inverse, matrix))
    ones = ir.tensor(np.ones(stream.width, np.float32), name="unit_gain")
    for node in stream.norms:
        node.replace_input_with(1 if node.op_type == FIRST_NORM else 2, initializer(model, "unit_gain", ones))


def _fold(gains: Floats, matrix: Floats, values: Floats) -> Floats:
    return matrix.T @ (gains[:, None] * values)


def _rotate_values(model: ir.Model, hessians: Hessians) -> None:
    """Rotate each key-value head's values, and turn the attended ones back in the projection that follows."""
    heads = _heads(model)
    if not heads:
        return
    weights = model.graph.initializers
    for name, output in [(name, OUTPUT.format(found[1])) for name in weights if (found := VALUE.fullmatch(name))]:
        value, back = weights[name], weights.get(output)
        if back is None or back.const_value is None:
            continue
        matrix = rotation(static_shape(back.const_value)[0] // heads)
        for changed in (value, *_biases(value)):
            change_weight(changed, partial(_by_head, matrix))
        change_weight(back, partial(_back_by_head, matrix))
        hessians.change_basis(output, partial(_back_by_head, matrix))


def _heads(model: ir.Model) -> int:
    """Return the number of query heads, 0 if there is no such attention."""
    for node in model.graph.all_nodes():
        if node.op_type == "GroupQueryAttention":
            return node.attributes["num_heads"].as_int()
    return 0


def _biases(weight: ir.Value) -> Iterator[ir.Value]:
    """Yield the biases that are added to products with this weight."""
    for product, _ in weight.uses():
        for node, _ in product.outputs[0].uses():
            bias = node.inputs[1] if node.op_type == "Add" else None
            if bias is not None and bias.is_initializer():
                yield bias


def _by_head(matrix: Floats, values: Floats) -> Floats:
    """Multiply each head's columns, of [..., heads x size], by a matrix [size, size]."""
    heads = values.reshape(*values.shape[:-1], -1, len(matrix)) @ matrix
    return heads.reshape(values.shape)


def _back_by_head(matrix: Floats, values: Floats) -> Floats:
    """Multiply each head's rows, of [heads x size, N], by the inverse of a rotation [size, size]."""
    return _by_head(matrix, values.T).T


def change_weight(weight: ir.Value, change: Callable[[Floats], Floats]) -> None:
    """Replace a weight's values by `change` of them, in float64, when they are read."""
    tensor = weight.const_value
    assert tensor is not None

    def values() -> NDArray[np.float32]:
        changed: NDArray[np.float32] = change(tensor.numpy().astype(np.float64)).astype(np.float32)
        return changed

    weight.const_value = lazy(str(weight.name), tensor.dtype, static_shape(tensor), values)
