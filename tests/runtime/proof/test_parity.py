from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from onnxrank.artifact.manifest import Parity
from onnxrank.engine.activation import activate
from onnxrank.proof.parity import compare, kendall_tau
from onnxrank.proof.tolerances import TOLERANCES, Scale


def unchanged(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return logits


def test_kendall_tau_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = rng.integers(0, 8, (2, 20)).astype(np.float32)
        assert kendall_tau(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)


def test_compare_measures_the_worst_pair_and_each_querys_first() -> None:
    expected = np.array([2.0, 1.0, -1.0, 0.0, 5.0], np.float32)
    found = np.array([2.0, 2.5, -1.0, 0.0, 5.0], np.float32)
    parity = compare(expected, found, [[0, 1], [2, 3], [4]], unchanged)
    assert parity.max_logit_difference == 1.5
    assert parity.top1_agreement == 0.5
    assert parity.kendall_tau == pytest.approx(0.8)


def test_a_gate_catches_nan() -> None:
    scores = np.array([1.0, 2.0], np.float32)
    parity = compare(scores, np.array([np.nan, 2.0], np.float32), [[0, 1]], unchanged)
    assert all(tolerance.problem(parity, Scale(deviation=1.0, largest=1.0)) for tolerance in TOLERANCES.values())


def test_sigmoid_neither_overflows_nor_loses_small_scores() -> None:
    with np.errstate(all="raise"):
        scores = activate(np.array([-80.0, 0.0, 80.0], np.float32), "sigmoid")
    assert scores[0] == pytest.approx(1.8048513e-35)
    assert scores[1:].tolist() == [0.5, 1.0]


def test_sums_of_many_similarities_may_differ_in_proportion() -> None:
    parity = compare(
        np.array([[150.0], [120.0]], np.float32), np.array([[150.0002], [120.0]], np.float32), [[0, 1]], np.copy
    )
    fp32 = TOLERANCES["fp32"]
    assert fp32.problem(parity, Scale(deviation=15.0, largest=150.0)) is None
    assert fp32.problem(parity, Scale(deviation=15.0, largest=15.0))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"max_logit_difference": 0.6}, "the largest logit difference is 0.6, and 0.5 is allowed"),
        ({"kendall_tau": 0.94}, "Kendall's tau is 0.940, and 0.95 is required"),
        ({"top1_agreement": 0.89}, "top-1 agreement is 0.89, and 0.9 is required"),
    ],
)
def test_each_limit_has_its_sentence(changes: dict[str, Any], problem: str | None) -> None:
    limits = {"max_logit_difference": 0.5, "kendall_tau": 0.95, "top1_agreement": 0.9}
    parity = Parity(pairs=2, max_score_difference=0.0, **{**limits, **changes})
    found = TOLERANCES["int8"].problem(parity, Scale(deviation=2.0, largest=1.0))
    assert found == (problem and f"{problem}.")
