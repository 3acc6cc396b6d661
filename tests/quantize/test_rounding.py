"""Weights rounded by second moments of their inputs change products less than weights rounded to nearest."""

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.int8 import quantize_channels
from onnxrank.quantize.methods import METHODS
from onnxrank.quantize.rounding import PANEL, rounded

RNG = np.random.default_rng(0)
ROWS, COLUMNS = PANEL + 64, 24
WEIGHT = RNG.standard_normal((ROWS, COLUMNS)).astype(np.float32)
# Inputs with a few common directions, as a model's are.
X = RNG.standard_normal((500, 12)) @ RNG.standard_normal((12, ROWS)) + 0.1 * RNG.standard_normal((500, ROWS))
HESSIAN = X.T @ X


def loss(values: NDArray[np.floating]) -> float:
    return float(np.square(X @ (values - WEIGHT)).sum())


@pytest.mark.parametrize(("low", "high", "step"), [(-8, 7, 0.4), (-127, 127, 0.03)])
def test_products_change_less_than_by_rounding_to_nearest(low: int, high: int, step: float) -> None:
    steps = np.full((ROWS, COLUMNS), step, np.float32)
    nearest, best = (rounded(WEIGHT, steps, low, high, hessian) for hessian in (None, HESSIAN))
    assert loss(best * steps) < loss(nearest * steps) / 3
    assert low <= best.min() and best.max() <= high
    # A value moves by little more than a step.
    assert np.abs(best.astype(int) - nearest).max() < 12


def test_independent_inputs_are_rounded_to_nearest() -> None:
    steps = np.full((1, COLUMNS), 0.4, np.float32)
    nearest = rounded(WEIGHT, steps, -8, 7, None)
    for hessian in (np.diag(RNG.uniform(1, 9, ROWS)), np.zeros((ROWS, ROWS))):
        np.testing.assert_array_equal(rounded(WEIGHT, steps, -8, 7, hessian), nearest)


def test_inputs_that_never_occur_do_not_stop_it() -> None:
    hessian = HESSIAN.copy()
    hessian[:5] = hessian[:, :5] = 0
    assert np.isfinite(quantize_channels(WEIGHT, hessian)[1]).all()


def test_int8_and_gptq_use_the_hessian() -> None:
    values, scales = quantize_channels(WEIGHT, HESSIAN)
    nearest, same = quantize_channels(WEIGHT)
    np.testing.assert_array_equal(scales, same)
    assert loss(values * scales) < loss(nearest * scales) / 3
    quantize = METHODS["gptq"].quantize
    assert not np.array_equal(quantize(WEIGHT, 32, HESSIAN).packed, quantize(WEIGHT, 32, None).packed)


def test_a_change_of_basis_is_that_of_the_inputs() -> None:
    matrix, scale = RNG.standard_normal((ROWS, ROWS)), RNG.uniform(1, 2, ROWS)
    hessians = Hessians({"w": lambda: HESSIAN})
    hessians.change_basis("w", lambda values: scale[:, None] * values)
    hessians.change_basis("w", lambda values: matrix @ values)
    hessians.change_basis("unknown", lambda values: values)
    changed = X * scale @ matrix.T
    found = hessians.of("w")
    assert found is not None
    np.testing.assert_allclose(found, changed.T @ changed, rtol=1e-8)
    assert hessians.of("unknown") is None
