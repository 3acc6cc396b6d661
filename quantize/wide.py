"""Chooses the matrices that get 8 bits instead of 4: those where a byte more takes most of the score's error away."""

import numpy as np
import onnx_ir as ir

from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.methods import block_scales
from onnxrank.quantize.rounding import remaining
from onnxrank.quantize.weights import Exclude, WeightedNode, constant_matmuls

# How much larger the matrices may become, as a share of what they take in 4 bits.
GROWTH = 0.11


def wide_matrices(
    model: ir.Model, hessians: Hessians, *, block_size: int, exclude: Exclude, growth: float = GROWTH
) -> frozenset[str]:
    """Return the names of the constant [K, N] weights to quantize with 8 bits: the largest expected errors of the score
    per byte, as long as the matrices do not grow by more than `growth`; none without Hessians."""
    matrices = {found.name: found for found in constant_matmuls(model, exclude)}
    budget = growth * sum(np.prod(found.shape) for found in matrices.values()) * (0.5 + 2 / block_size)
    gains = {name: _error(found, hessians, block_size) / np.prod(found.shape) for name, found in matrices.items()}
    chosen: set[str] = set()
    for name in sorted(gains, key=lambda name: -gains[name]):
        more = float(np.prod(matrices[name].shape)) / 2
        if gains[name] > 0 and more <= budget:
            chosen.add(name)
            budget -= more
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
