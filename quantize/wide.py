"""Chooses the matrices that get 8 bits instead of 4: those where a byte more takes most of the score's error away."""

import math

import numpy as np
import onnx_ir as ir

from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.methods import block_scales
from onnxrank.quantize.rounding import remaining
from onnxrank.quantize.weights import Exclude, WeightedNode, constant_matmuls, embedding_gathers

# How much larger the weights may become, as a share of what they take with 4 bits and 8-bit embeddings.
GROWTH = 0.075


def spare_bytes(model: ir.Model, *, block_size: int, exclude: Exclude) -> float:
    """Return by how many bytes the weights of a float32 graph may grow. Ask before a vocabulary is cut: scores do not
    depend on what is cut."""
    matrices = sum(math.prod(found.shape) for found in constant_matmuls(model, exclude))
    tables = sum(math.prod(found.shape) for found in embedding_gathers(model))
    return GROWTH * (matrices * (0.5 + 2 / block_size) + tables)


def wide_matrices(
    model: ir.Model, hessians: Hessians, spare: float, *, block_size: int, exclude: Exclude
) -> frozenset[str]:
    """Return the names of the constant [K, N] weights to quantize with 8 bits: those with the largest expected error of
    the score per byte, as long as they grow by no more than `spare` bytes; none without Hessians."""
    matrices = {found.name: found for found in constant_matmuls(model, exclude)}
    gains = {name: _error(found, hessians, block_size) / math.prod(found.shape) for name, found in matrices.items()}
    chosen: set[str] = set()
    for name in sorted(gains, key=lambda name: -gains[name]):
        more = math.prod(matrices[name].shape) / 2
        if gains[name] > 0 and more <= spare:
            chosen.add(name)
            spare -= more
    return frozenset(chosen)


def _error(found: WeightedNode, hessians: Hessians, block_size: int) -> float:
    """Return the expected squared error of the score from rounding the weight to 4 bits."""
    hessian = hessians.of(found.name)
    if hessian is None:
        return 0.0
    steps = block_scales(found.values(), block_size)
    # Rounding errors are uniform over a step.
    variances = np.repeat(np.square(steps).sum(axis=0) / 12, block_size)[: found.shape[0]]
    return float(remaining(hessian) @ variances)
