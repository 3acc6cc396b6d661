"""Noise, gain and the other measures of how a ranking is kept, on made-up scores."""

import ir_measures
import numpy as np
import pytest
from scipy import stats

from onnxrank.quality.fidelity import fidelity, kendall_tau, ndcg, ndcg_points

RNG = np.random.default_rng(0)
QUERIES = [RNG.normal(i, 2.0, 5) for i in range(40)]


def test_kendall_tau_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = rng.integers(0, 8, (2, 20)).astype(np.float32)
        assert kendall_tau(a, b) == pytest.approx(stats.kendalltau(a, b).statistic)


def test_noise_is_in_deviations_within_a_query_and_a_constant_per_query_is_none() -> None:
    found = fidelity(QUERIES, [scores + i for i, scores in enumerate(QUERIES)])
    assert found.noise.mean == pytest.approx(0, abs=1e-12) and found.gain.mean == pytest.approx(1)
    noisy = [scores + RNG.normal(0, 0.2, 5) for scores in QUERIES]
    found = fidelity(QUERIES, noisy)
    assert found.noise.low < 0.1 < found.noise.high
    assert found.deviation == pytest.approx(2 * np.sqrt(4 / 5), rel=0.1)
    assert found.kendall_tau.mean == pytest.approx(np.mean(list(map(kendall_tau, QUERIES, noisy))))


def test_gain_tells_a_lost_scale_and_other_rows_from_noise() -> None:
    assert fidelity(QUERIES, [scores / 7 for scores in QUERIES]).gain.mean == pytest.approx(1 / 7)
    shuffled = fidelity(QUERIES, [np.roll(scores, 1) for scores in QUERIES[1:] + QUERIES[:1]])
    assert shuffled.gain.low < 0 < shuffled.gain.high < 1 / 3
    # As much noise as signal, and still the model's own scores.
    noisy = fidelity(QUERIES, [scores + RNG.normal(0, 2, 5) for scores in QUERIES])
    assert noisy.noise.mean == pytest.approx(1, abs=0.2) and noisy.gain.low > 1 / 3


def test_one_wrong_document_is_an_outlier() -> None:
    noisy = [scores + RNG.normal(0, 0.2, 5) for scores in QUERIES]
    assert fidelity(QUERIES, noisy).outlier < 5
    noisy[7] = noisy[7] + np.array([0, 0, 12, 0, 0])
    assert fidelity(QUERIES, noisy).outlier > 8


def test_documents_within_the_tie_have_no_order() -> None:
    expected, found = [np.array([1.0, 1.00005, 3.0])], [np.array([1.1, 1.0, 3.0])]
    tied = fidelity(expected, found, tie=1e-4)
    assert (tied.kendall_tau.mean, tied.flips.mean) == (1, 0)
    exact = fidelity(expected, found, tie=0)
    assert exact.kendall_tau.mean < 1 and exact.flips.mean > 0


def test_columns_of_other_scales_count_the_same() -> None:
    wide = [np.stack([scores, scores / 1000], axis=1) for scores in QUERIES]
    noise = [RNG.normal(0, 0.2, 5) for _ in QUERIES]
    second = [np.stack([a, (a + n) / 1000], axis=1) for a, n in zip(QUERIES, noise, strict=True)]
    alone = fidelity(QUERIES, [a + n for a, n in zip(QUERIES, noise, strict=True)])
    both = fidelity(wide, second)
    assert both.noise.mean == pytest.approx(alone.noise.mean / np.sqrt(2))
    assert both.kendall_tau.mean == pytest.approx((1 + alone.kendall_tau.mean) / 2)
    assert both.flips.mean == pytest.approx(alone.flips.mean / 2)


def test_queries_of_one_document_and_equal_scores_are_no_ranking() -> None:
    for scores in ([np.ones(1)], [np.ones(3)], []):
        found = fidelity(scores, [row + np.arange(len(row)) for row in scores])
        assert (found.noise.mean, found.gain.mean) == (0, 1) and np.isfinite(found.outlier)


def test_ndcg_is_trec_evals() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        grades, scores = np.append(rng.integers(0, 3, 14), 2), rng.normal(size=15)
        qrels = {"q": {str(i): int(grade) for i, grade in enumerate(grades)}}
        run = {"q": {str(i): float(score) for i, score in enumerate(scores)}}
        measure = ir_measures.parse_measure("nDCG@10")
        assert ndcg(grades, scores) == pytest.approx(ir_measures.calc_aggregate([measure], qrels, run)[measure])


def test_ndcg_points_are_paired_and_leave_out_queries_without_a_relevant_document() -> None:
    grades = [np.array([2, 1, 0]), np.array([0, 0, 0])]
    right, wrong = [np.array([3.0, 2.0, 1.0])] * 2, [np.array([1.0, 2.0, 3.0])] * 2
    same = ndcg_points(grades, right, right)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    assert ndcg_points(grades, right, wrong).mean == pytest.approx(100 * (ndcg(grades[0], wrong[0]) - 1))
