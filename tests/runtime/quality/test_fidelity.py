"""The measures of ranking fidelity, against other libraries, values computed by hand and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kendalltau

from onnxrank.artifact.manifest import Interval
from onnxrank.quality.fidelity import (
    Fidelity,
    difference,
    fidelity,
    flipped_gaps,
    interval,
    kendall_tau,
    rank_biased_overlap,
)

Floats = NDArray[np.float64]
MEASURES = ("noise", "kendall_tau", "top1_agreement", "flips", "rank_biased_overlap")
PERFECT = {"noise": 0, "kendall_tau": 1, "top1_agreement": 1, "flips": 0, "rank_biased_overlap": 1}


def numbers(*values: float) -> Floats:
    return np.array(values, np.float64)


def means(found: Fidelity) -> dict[str, float]:
    return {name: getattr(found, name).mean for name in MEASURES}


@st.composite
def queries(draw: st.DrawFn) -> tuple[list[Floats], list[Floats]]:
    """Scores of a reference and of another, whole numbers, so that sums and products with them are exact."""
    counts = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    rows = [
        st.lists(st.integers(-20, 20), min_size=count, max_size=count).map(lambda x: numbers(*x)) for count in counts
    ]
    return [draw(row) for row in rows], [draw(row) for row in rows]


@pytest.mark.parametrize("levels", [3, 10_000])
def test_tau_is_scipys_with_and_without_ties(levels: int) -> None:
    rng = np.random.default_rng(0)
    for size in (2, 3, 10, 50):
        expected, found = rng.integers(0, levels, (2, size)).astype(float)
        expected[0], found[0] = -1, -1  # scipy has no tau where all are equal
        assert kendall_tau(expected, found) == pytest.approx(kendalltau(expected, found).statistic)


def test_tau_where_a_list_has_no_order() -> None:
    some, none = numbers(1, 2, 3), numbers(1, 1, 1)
    assert kendall_tau(none, some) == kendall_tau(none, none) == 1
    assert kendall_tau(some, none) == 0
    # The first two have no order, and the third is above both.
    assert kendall_tau(numbers(1, 1.1, 3), numbers(2, 1, 3), tie=0.2) == 1
    assert kendall_tau(numbers(1, 1.1, 3), numbers(2, 1, 3)) == pytest.approx(1 / 3)


def test_rank_biased_overlap_of_short_lists() -> None:
    # At depth 1 none of one is shared, then all: 0.1 * 0 + 0.09 * 1 + 0.81.
    assert rank_biased_overlap(numbers(2, 1), numbers(1, 2)) == pytest.approx(0.9)
    # Overlaps 0, 1/2 and 1: 0.1 * 0 + 0.09 / 2 + 0.081 + 0.729.
    assert rank_biased_overlap(numbers(3, 2, 1), numbers(2, 1, 3)) == pytest.approx(0.855)
    # Overlaps 1, 1/2 and 1.
    assert rank_biased_overlap(numbers(3, 2, 1), numbers(3, 1, 2)) == pytest.approx(0.955)


def test_the_top_weighs_more_than_the_bottom() -> None:
    ranking = np.arange(20.0)[::-1]
    top, bottom = ranking.copy(), ranking.copy()
    top[[0, 1]], bottom[[18, 19]] = top[[1, 0]], bottom[[19, 18]]
    assert rank_biased_overlap(ranking, top) == pytest.approx(0.9)
    assert rank_biased_overlap(ranking, bottom) == pytest.approx(1 - 0.1 * 0.9**18 / 19)
    assert rank_biased_overlap(ranking, ranking) == pytest.approx(1)


def test_flips_are_weighted_by_their_gaps() -> None:
    # Gaps of 1, 3 and 4; only the documents at a distance of 1 changed places.
    assert flipped_gaps(numbers(5, 4, 1), numbers(4, 5, 1)) == (1, 8)
    assert flipped_gaps(numbers(5, 4, 1), numbers(4, 5, 1), tie=1) == (0, 7)
    assert flipped_gaps(numbers(5, 4, 1), numbers(0, 0, 0)) == (8, 8)


def test_noise_is_the_errors_deviation_over_the_scores() -> None:
    rng = np.random.default_rng(0)
    expected = [rng.normal(query, 3.0, 20) for query in range(300)]
    found = [row + rng.normal(7 * query, 0.6, 20) for query, row in enumerate(expected)]
    noise = fidelity(expected, found).noise
    assert noise.mean == pytest.approx(0.2, rel=0.03)
    assert noise.low < 0.2 < noise.high


def test_a_query_of_one_document_is_left_out() -> None:
    found = fidelity([numbers(1), numbers(1, 2)], [numbers(9), numbers(1, 2)])
    assert (found.queries, found.pairs) == (1, 2)
    assert means(found) == pytest.approx(PERFECT)
    nothing = fidelity([numbers(1)], [numbers(9)])
    assert nothing.queries == nothing.pairs == 0


def test_a_tie_in_the_reference_has_no_order() -> None:
    # The same text twice: PyTorch's scores differ in the last bit.
    expected, found = [numbers(3, 1, 1.000001)], [numbers(3, 1.000001, 1)]
    assert means(fidelity(expected, found)) == pytest.approx(PERFECT, abs=1e-5)
    assert means(fidelity(expected, found, tie=0))["kendall_tau"] == pytest.approx(1 / 3)
    assert rank_biased_overlap(numbers(1, 1, 3), numbers(1, 2, 3)) == pytest.approx(1)
    # The two best are a tie, too.
    assert fidelity([numbers(2, 2.00001, 0)], [numbers(2, 1, 0)]).top1_agreement.mean == 1
    assert fidelity([numbers(2, 1, 0)], [numbers(1, 2, 0)]).top1_agreement.mean == 0


@settings(deadline=None)
@given(queries())
def test_the_same_scores_are_perfect(scores: tuple[list[Floats], list[Floats]]) -> None:
    expected = [*scores[0], numbers(1, 2)]
    assert means(fidelity(expected, expected)) == pytest.approx(PERFECT)


@settings(deadline=None)
@given(queries(), st.lists(st.integers(-100, 100), min_size=4, max_size=4), st.sampled_from([0.25, 1.0, 8.0]))
def test_a_constant_for_each_query_and_a_common_scale_change_nothing(
    scores: tuple[list[Floats], list[Floats]], constants: list[int], scale: float
) -> None:
    expected, found = scores
    moved = [scale * (row + constant) for row, constant in zip(found, constants, strict=False)]
    changed = fidelity([scale * row for row in expected], moved)
    assert means(changed) == pytest.approx(means(fidelity(expected, found)))


@settings(deadline=None)
@given(queries())
def test_measures_are_in_range(scores: tuple[list[Floats], list[Floats]]) -> None:
    found = fidelity(*scores)
    for name in MEASURES:
        low = -1 if name == "kendall_tau" else 0
        measure: Interval = getattr(found, name)
        assert low - 1e-9 <= measure.low <= measure.high
        assert name == "noise" or measure.high <= 1 + 1e-9


def test_an_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    intervals = [interval(rng.exponential(2.0, 60)) for _ in range(100)]
    assert 0.9 <= np.mean([found.low <= 2.0 <= found.high for found in intervals]) <= 0.99


def test_a_weighted_interval_is_of_the_ratio_of_sums() -> None:
    found = interval(numbers(1, 8), numbers(1, 1), np.sqrt)
    assert found.mean == pytest.approx(np.sqrt(4.5))
    assert (found.low, found.high) == pytest.approx((1, np.sqrt(8)))
    assert interval(numbers(0, 0), numbers(0, 0)) == Interval(mean=0, low=0, high=0)


def test_a_difference_pairs_the_queries() -> None:
    rng = np.random.default_rng(1)
    reference = rng.random(200)
    found = difference(reference, reference + 0.01)
    # The queries' own spread cancels.
    assert (found.mean, found.low, found.high) == pytest.approx((0.01, 0.01, 0.01))
    noisy = difference(reference, reference + rng.normal(0.0, 0.1, 200))
    assert noisy.low < noisy.mean < noisy.high
    # Of a mean's standard error, 95 % is 1.96 on either side.
    assert noisy.high - noisy.low == pytest.approx(2 * 1.96 * 0.1 / np.sqrt(200), rel=0.15)
