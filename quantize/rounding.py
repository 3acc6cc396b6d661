"""Rounds weights to whole steps so that the errors cancel in the products that the model computes.

GPTQ (Frantar and others 2023): the rows of a weight, one per input, are rounded one after the other, those with the
largest inputs first; what rounding a row changes in the products is made up for by the rows that are still to come.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
# The share of the mean second moment that is added to each, because inputs that hardly occur in the calibration texts
# may occur in others.
DAMPING = 0.01
# Rows whose errors are collected before the rows after them are corrected by one matrix product.
PANEL = 128


def rounded(
    weight: Floats, steps: Floats, low: int, high: int, hessian: NDArray[np.float64] | None
) -> NDArray[np.int8]:
    """Return multiples, int8 [K, N], of the steps, broadcastable to [K, N], from low to high: such that products with
    inputs of this Hessian, [K, K], change the least, or the nearest ones if it is None."""
    if hessian is None or not hessian.any():
        return np.clip(np.rint(weight / steps), low, high).astype(np.int8)
    return round_by_hessian(weight, steps, low, high, hessian)


def round_by_hessian(
    weight: Floats, steps: Floats, low: int, high: int, hessian: NDArray[np.float64]
) -> NDArray[np.int8]:
    """Return multiples as `rounded` does."""
    order = _order(hessian)
    # The upper Cholesky factor of the inverse.
    corrections = np.linalg.inv(_factor(hessian[np.ix_(order, order)])).astype(np.float32)
    rest = weight[order].astype(np.float32)
    steps = np.broadcast_to(steps, weight.shape)[order].astype(np.float32)
    rounded = np.empty(weight.shape, np.int8)
    for start in range(0, len(rest), PANEL):
        end = min(start + PANEL, len(rest))
        errors = np.empty((end - start, rest.shape[1]), np.float32)
        for row in range(start, end):
            multiples = np.clip(np.rint(rest[row] / steps[row]), low, high)
            error = (rest[row] - multiples * steps[row]) / corrections[row, row]
            rest[row + 1 : end] -= np.outer(corrections[row, row + 1 : end], error)
            rounded[order[row]] = multiples
            errors[row - start] = error
        rest[end:] -= corrections[start:end, end:].T @ errors
    return rounded


def remaining(hessian: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much the squared error of each row costs, [K], after the rows that are rounded later have made up for
    what they can."""
    order = _order(hessian)
    costs = np.empty(len(hessian))
    costs[order] = np.diag(_factor(hessian[np.ix_(order, order)])) ** 2
    return costs


def _order(hessian: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return in which order rows are rounded: those with the largest inputs first."""
    return np.argsort(-np.diag(hessian), kind="stable")


def _factor(hessian: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upper triangular R of which R RT is the damped Hessian, [K, K]."""
    damped = hessian + np.eye(len(hessian)) * max(DAMPING * np.trace(hessian) / len(hessian), np.finfo(np.float32).tiny)
    factor: NDArray[np.float64] = np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]
    return factor
