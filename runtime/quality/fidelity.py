"""How well a variant's scores keep a reference's ranking: within each query, because only that order matters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Interval

Scores = NDArray[np.floating]
Floats = NDArray[np.float64]
Group = tuple[Floats, Floats]

# The weight of a rank falls by this factor (Webber and others 2010): the first ten ranks have 86 % of the weight.
PERSISTENCE = 0.9
# nDCG looks at the first ten documents.
DEPTH = 10
CONFIDENCE = 0.95
RESAMPLES = 2_000
# Sums of float32 in another order move a logit by 1e-6 to 1e-5, and the lowest deviation seen within queries is 0.2.
TIE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """noise: root mean square of the scores' differences from the reference, after each query's mean difference is
    taken away, over the root mean square of the reference's own differences from each query's mean, which is
    `deviation`. gain: the slope of the scores over the reference's, within queries; 1 if the scale is kept, and about 0
    if the two have nothing to do with each other. outlier: the largest difference that noise is made of, over the root
    mean square of all. kendall_tau: mean over queries. top1_agreement: the share of queries with the same best
    document. flips: of all differences between two documents' reference scores, the share by which documents changed
    places. rank_biased_overlap: mean over queries at persistence 0.9."""

    queries: int
    pairs: int
    noise: Interval
    gain: Interval
    outlier: float
    deviation: float
    kendall_tau: Interval
    top1_agreement: Interval
    flips: Interval
    rank_biased_overlap: Interval


def fidelity(expected: Sequence[Scores], found: Sequence[Scores], *, tie: float | None = None) -> Fidelity:
    """Compare scores with the reference's, each a list with the scores of every query, [documents] or, of several
    models at once, [documents, columns].

    Columns may differ in scale and count the same. tie: documents whose reference scores differ by no more than this
    have no order; by default TIE of the reference's deviation within queries. Queries of one document say nothing about
    a ranking and are left out.
    """
    groups = [
        (np.asarray(a, np.float64).reshape(len(a), -1), np.asarray(b, np.float64).reshape(len(b), -1))
        for a, b in zip(expected, found, strict=True)
        if len(a) > 1
    ]
    columns = groups[0][0].shape[1] if groups else 1
    signals = [a - a.mean(axis=0) for a, _ in groups]
    errors = [b - a - (b - a).mean(axis=0) for a, b in groups]
    total = np.array([np.square(signal).sum(axis=0) for signal in signals]).reshape(-1, columns).sum(axis=0)
    pairs = sum(len(a) for a, _ in groups)
    # Of each column's differences; 0 leaves out a column whose documents all score the same.
    unit = np.divide(1, np.sqrt(total), out=np.zeros(columns), where=total > 0)

    def summed(left: list[Floats], right: list[Floats]) -> Floats:
        return np.array([((a * unit) * (b * unit)).sum() for a, b in zip(left, right, strict=True)])

    deviations = np.sqrt(total / max(1, pairs))
    ties = [TIE * float(deviation) if tie is None else tie for deviation in deviations]

    def mean_of(measure: Callable[[Floats, Floats, float], float]) -> Interval:
        return interval(np.array([np.mean([measure(*pair) for pair in _columns(group, ties)]) for group in groups]))

    flipped = [
        sum(np.array(flipped_gaps(*pair)) * u for pair, u in zip(_columns(g, ties), unit, strict=True)) for g in groups
    ]
    gaps = np.array(flipped).reshape(-1, 2)
    power = summed(errors, errors)
    worst = max((float(np.abs(error * unit).max()) for error in errors), default=0.0)
    rms = float(np.sqrt(power.sum() / max(1, pairs * columns)))
    return Fidelity(
        queries=len(groups),
        pairs=pairs,
        noise=interval(power, summed(signals, signals), np.sqrt),
        gain=_one_plus(interval(summed(signals, errors), summed(signals, signals))),
        outlier=worst / rms if rms else 0.0,
        deviation=float(np.sqrt(total.sum() / max(1, pairs * columns))),
        kendall_tau=mean_of(kendall_tau),
        top1_agreement=mean_of(_same_best),
        flips=interval(gaps[:, 0], gaps[:, 1]),
        rank_biased_overlap=mean_of(rank_biased_overlap),
    )


def _one_plus(found: Interval) -> Interval:
    return Interval(mean=1 + found.mean, low=1 + found.low, high=1 + found.high)


def _columns(group: Group, ties: Sequence[float]) -> list[tuple[Floats, Floats, float]]:
    return list(zip(group[0].T, group[1].T, ties, strict=True))


def difference(reference: Floats, found: Floats) -> Interval:
    """Return the mean of `found - reference`, per-query values [queries] of a measure such as nDCG, and its interval.

    A paired bootstrap: each resample draws queries, and both values of a query together.
    """
    return interval(found - reference)


def ndcg_points(relevance: Sequence[Scores], expected: Sequence[Scores], found: Sequence[Scores]) -> Interval:
    """Return nDCG@10 of `found` minus that of `expected`, times 100, with the interval of a paired bootstrap.

    Each is a list with the grades or scores of every query, [documents]; a query without a relevant document is left
    out.
    """
    triples = [triple for triple in zip(relevance, expected, found, strict=True) if np.any(triple[0])]
    return interval(np.array([100 * (ndcg(grades, b) - ndcg(grades, a)) for grades, a, b in triples]))


def ndcg(relevance: Scores, scores: Scores) -> float:
    """Return nDCG@10 of one query with a relevant document; the gain of a document is its grade, as in trec_eval."""
    best, ranked = np.sort(relevance)[::-1], relevance[np.argsort(-scores, kind="stable")]
    discounts = 1 / np.log2(np.arange(2, len(relevance) + 2)) * (np.arange(len(relevance)) < DEPTH)
    return float(ranked @ discounts / (best @ discounts))


def interval(
    values: Floats,
    weights: Floats | None = None,
    transform: Callable[[Floats], Floats] = lambda x: x,
) -> Interval:
    """Return the mean of per-query values, [queries], and its percentile bootstrap interval over queries.

    With `weights` it is the sum of the values over the sum of the weights; `transform` is applied to each mean.
    """
    if not len(values):
        return Interval(mean=0.0, low=0.0, high=0.0)
    weights = np.ones(len(values)) if weights is None else weights

    def ratio(rows: Floats) -> Floats:
        total = rows @ weights
        return transform(np.divide(rows @ values, total, out=np.zeros_like(total), where=total > 0))

    # How often each query is drawn, which is all that a resample is.
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), RESAMPLES).astype(np.float64)
    low, high = np.quantile(ratio(drawn), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(mean=float(ratio(np.ones((1, len(values))))[0]), low=float(low), high=float(high))


def kendall_tau(expected: Scores, found: Scores, tie: float = 0.0) -> float:
    """Return Kendall's tau-b of two score lists: 1 for the same order, -1 for the reverse, 0 if `found` has no order,
    and 1 if the reference has none.

    tie: the largest difference of two reference scores that have no order.
    """
    gaps = expected[:, None] - expected
    order, other = np.where(np.abs(gaps) > tie, np.sign(gaps), 0), np.sign(found[:, None] - found)
    if not order.any():
        return 1.0
    # Pairs without an order in the reference say nothing, whatever their order is in the other list.
    other = np.where(order == 0, 0, other) if tie else other
    untied = np.sqrt(float(np.abs(order).sum()) * float(np.abs(other).sum()))
    return float((order * other).sum() / untied) if untied else 0.0


def rank_biased_overlap(expected: Scores, found: Scores, tie: float = 0.0) -> float:
    """Return the extrapolated rank-biased overlap of two rankings of the same documents, 0 to 1.

    Documents whose reference scores differ from the next by no more than `tie` are ranked as in `found`.
    """
    best, other = np.argsort(-expected, kind="stable"), np.argsort(-found, kind="stable")
    levels = np.empty(len(best), np.int64)
    levels[best] = np.cumsum(-np.diff(expected[best], prepend=expected[best[:1]]) > tie)
    best = np.lexsort((-found, levels))
    depths = np.arange(1, len(best) + 1)
    overlaps = np.array([len(np.intersect1d(best[:depth], other[:depth])) for depth in depths]) / depths
    weights = (1 - PERSISTENCE) * PERSISTENCE ** (depths - 1)
    # Below the last rank both lists hold the same documents, so the overlap stays at 1.
    return float((weights * overlaps).sum() + PERSISTENCE ** len(best))


def flipped_gaps(expected: Scores, found: Scores, tie: float = 0.0) -> tuple[float, float]:
    """Return the sum of the gaps between the reference scores of documents that changed places or became equal, and
    the sum of all gaps. Gaps up to `tie` do not count."""
    gaps = expected[:, None] - expected
    gaps = np.where(gaps > tie, gaps, 0)
    return float(gaps[found[:, None] <= found].sum()), float(gaps.sum())


def _same_best(expected: Scores, found: Scores, tie: float) -> float:
    return float(expected.max() - expected[found.argmax()] <= tie)
