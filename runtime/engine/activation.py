"""Turns logits into scores."""

import numpy as np
from numpy.typing import NDArray


def activate(logits: NDArray[np.float32], activation: str, scale: float = 1.0) -> NDArray[np.float32]:
    """Return the scores of logits: 1 / (1 + exp(-scale * x)) for "sigmoid", and the logits themselves
    for "identity", whatever the scale."""
    if activation == "identity":
        return logits
    # logaddexp cannot overflow, and keeps small probabilities exact.
    return np.exp(-np.logaddexp(0.0, -logits.astype(np.float64) * scale)).astype(np.float32)
