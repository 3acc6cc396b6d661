"""Measures how close two lists of logits are, in terms that matter for ranking."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Interval, Manifest, Parity, Variant
from onnxrank.quality.fidelity import fidelity, ndcg_points

Logits = NDArray[np.float32]


def compare(
    expected: Logits,
    found: Logits,
    groups: Sequence[Sequence[int]],
    activate: Callable[[Logits], Logits],
    *,
    tie: float = 0.0,
    relevance: Sequence[int | None] = (),
) -> Parity:
    """Return the parity of `found` with `expected`, `[pairs]` or `[pairs, columns]`; each column is a ranking.

    groups: the indices of each query's pairs. activate: turns logits into scores. tie: pairs of a query whose logits
    differ by no more in `expected` have no order. relevance: the grade of each pair, None where there is none; empty if
    there are none at all.
    """
    # NaN and infinities go into the figures, which the gates refuse.
    with np.errstate(invalid="ignore", over="ignore"):
        ranked = fidelity([expected[list(g)] for g in groups], [found[list(g)] for g in groups], tie=tie)
        return Parity(
            pairs=len(expected),
            max_logit_difference=float(np.abs(expected - found).max()),
            max_score_difference=float(np.abs(activate(expected) - activate(found)).max()),
            noise=ranked.noise,
            gain=ranked.gain,
            outlier=ranked.outlier,
            kendall_tau=ranked.kendall_tau.mean,
            top1_agreement=ranked.top1_agreement.mean,
            flips=ranked.flips.mean,
            ndcg_points=_ndcg_points(expected, found, groups, relevance) if any(relevance) else None,
        )


def _ndcg_points(
    expected: Logits, found: Logits, groups: Sequence[Sequence[int]], relevance: Sequence[int | None]
) -> Interval:
    """Of several columns, of the first, which is that of the whole model."""
    first, other = (logits.reshape(len(logits), -1)[:, 0] for logits in (expected, found))
    graded = [[i for i in group if relevance[i] is not None] for group in groups]
    return ndcg_points(
        [np.array([relevance[i] for i in g], np.float64) for g in graded],
        [first[g] for g in graded],
        [other[g] for g in graded],
    )


# A row of them fits into 100 characters.
PARITY_COLUMNS = ["variant", "graph", "noise", "tau", "top-1", "nDCG@10 points", "max |Δ logit|", "batch effect"]


def parity_rows(name: str, variant: Variant) -> list[list[str]]:
    """Return a row of PARITY_COLUMNS for each graph of the variant."""
    return [
        [
            name,
            graph,
            f"{found.noise.mean:.3f} [{found.noise.low:.3f}, {found.noise.high:.3f}]",
            f"{found.kendall_tau:.3f}",
            f"{found.top1_agreement:.0%}",
            _points(found.ndcg_points),
            f"{found.max_logit_difference:.2g}",
            f"{variant.batch_effect:.2g}",
        ]
        for graph, found in variant.parity.items()
    ]


def accepted_losses(manifest: Manifest) -> list[str]:
    """Return a sentence for each variant that loses more than it should, and was written at the user's word."""
    return [
        f"{name} loses more of PyTorch's ranking than the proof allows; it was written with --accept-loss."
        for name, variant in manifest.variants.items()
        if variant.accepted_loss
    ]


def _points(found: Interval | None) -> str:
    return f"{found.mean:+.1f} [{found.low:+.1f}, {found.high:+.1f}]" if found else "-"
