from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Interval, Parity
from onnxrank.engine.activation import activate
from onnxrank.proof.parity import PARITY_COLUMNS, compare, parity_rows
from onnxrank.proof.tolerances import TOLERANCES, Scale
from tests.proofs import SAME, variant_of

UNIT = Scale(deviation=2.0, largest=1.0)


def unchanged(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return logits


def at(value: float) -> Interval:
    return Interval(mean=value, low=0.9 * value, high=1.1 * value)


def test_compare_measures_the_worst_pair_and_each_querys_first() -> None:
    expected = np.array([2.0, 1.0, -1.0, 0.0, 5.0], np.float32)
    found = np.array([2.0, 2.5, -1.0, 0.0, 5.0], np.float32)
    parity = compare(expected, found, [[0, 1], [2, 3], [4]], unchanged)
    assert parity.max_logit_difference == 1.5
    assert parity.top1_agreement == 0.5
    assert parity.kendall_tau == 0  # -1 and 1; the order of different queries' documents does not count
    assert parity.ndcg_points is None


def test_each_width_is_a_ranking_of_its_own() -> None:
    expected = np.array([[1.0, 300.0], [2.0, 200.0], [3.0, 100.0]], np.float32)
    found = np.array([[1.0, 100.0], [2.0, 200.0], [3.0, 300.0]], np.float32)
    assert compare(expected, found, [[0, 1, 2]], unchanged).kendall_tau == 0


def test_graded_pairs_give_ndcg() -> None:
    scores = np.array([3.0, 2.0, 1.0, 7.0], np.float32)
    groups = [[0, 1, 2], [3]]
    points = compare(scores, -scores, groups, unchanged, relevance=[2, 1, 0, None]).ndcg_points
    assert points and points.mean < -30
    same = compare(scores, scores, groups, unchanged, relevance=[2, 1, 0, None]).ndcg_points
    assert same == Interval(mean=0.0, low=0.0, high=0.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_gate_catches_what_is_no_number(value: float) -> None:
    scores = np.array([1.0, 2.0], np.float32)
    parity = compare(scores, np.array([value, 2.0], np.float32), [[0, 1]], unchanged)
    for tolerance in TOLERANCES.values():
        assert tolerance.wrong(parity, UNIT) == "a logit is NaN or infinite."


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
    assert fp32.wrong(parity, Scale(deviation=15.0, largest=150.0)) is None
    assert fp32.wrong(parity, Scale(deviation=15.0, largest=15.0))


@pytest.mark.parametrize(
    ("variant", "changes", "problem"),
    [
        ("int8", {}, None),
        ("fp32", {"max_logit_difference": 2e-4}, "the largest logit difference is 0.0002, and 0.0001 is allowed."),
        ("int8", {"gain": at(0.1)}, "a difference between two documents becomes 0.1 times PyTorch's, and 0.33 to 3 is"),
        ("int8", {"gain": at(7.0)}, "a difference between two documents becomes 7 times PyTorch's, and 0.33 to 3 is"),
        # Not certain: scores that lie close together are not taken for wrong ones.
        ("int8", {"gain": Interval(mean=0.1, low=-2.0, high=2.2), "noise": at(9.0)}, None),
        ("q4", {"outlier": 12.0, "noise": at(0.2)}, "one pair strays by 2.4 deviations, 12 times the root mean square"),
        ("q4", {"outlier": 12.0, "noise": at(0.01)}, None),
    ],
)
def test_each_limit_of_what_is_wrong_has_its_sentence(
    variant: str, changes: dict[str, Any], problem: str | None
) -> None:
    found = TOLERANCES[variant].wrong(parity_with(changes), UNIT)
    assert found is None if problem is None else found and found.startswith(problem)


def test_loss_is_noise_beyond_the_variants() -> None:
    parity = parity_with({"noise": at(0.2), "kendall_tau": 0.87, "top1_agreement": 0.94})
    assert TOLERANCES["int8"].loss(parity, UNIT) == (
        "noise is 0.2 [0.18, 0.22] of the scores' deviation within a query, which is 2, and 0.1 is allowed; Kendall's "
        "tau is 0.87 and top-1 agreement 94%"
    )
    assert TOLERANCES["q4"].loss(parity, UNIT) is None
    assert TOLERANCES["fp32"].loss(parity, UNIT) is None


def test_rows_fit_a_terminal_of_a_hundred_characters() -> None:
    widest = parity_with(
        {
            "noise": at(0.2),
            "ndcg_points": Interval(mean=-3.26, low=-5.84, high=-1.22),
            "max_logit_difference": 1.2e-6,
        }
    )
    variant = variant_of({"padded": widest}, batch_effect=1.2e-7)
    (row,) = parity_rows("q4f16", variant)
    widths = [max(len(cell), *map(len, column.split())) for cell, column in zip(row, PARITY_COLUMNS, strict=True)]
    assert sum(widths) + 3 * len(row) + 1 <= 100


def parity_with(changes: dict[str, Any]) -> Parity:
    return Parity(**{**SAME, **changes})
