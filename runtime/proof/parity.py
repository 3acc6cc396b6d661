"""Measures how close two lists of logits are, in terms that matter for ranking."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Parity, Variant

Logits = NDArray[np.float32]


def compare(
    expected: Logits, found: Logits, groups: Sequence[Sequence[int]], activate: Callable[[Logits], Logits]
) -> Parity:
    """Return the parity of `found` with `expected`, `[pairs]` or `[pairs, columns]`.

    groups: the indices of each query's pairs. activate: turns logits into scores.
    """
    pairs = len(expected)
    if expected.ndim == 2:
        # Each column is a ranking of its own.
        groups = [[column * pairs + i for i in group] for column in range(expected.shape[1]) for group in groups]
        expected, found = expected.T.ravel(), found.T.ravel()
    several = [list(group) for group in groups if len(group) > 1]
    agreement = [expected[g].argmax() == found[g].argmax() for g in several]
    return Parity(
        pairs=pairs,
        max_logit_difference=float(np.abs(expected - found).max()),
        max_score_difference=float(np.abs(activate(expected) - activate(found)).max()),
        kendall_tau=kendall_tau(expected, found),
        top1_agreement=float(np.mean(agreement)) if agreement else 1.0,
    )


def kendall_tau(a: Logits, b: Logits) -> float:
    """Return Kendall's tau-b of two score lists: 1 for the same order, -1 for the reverse."""
    order_a, order_b = np.sign(a[:, None] - a), np.sign(b[:, None] - b)
    untied = np.sqrt(float(np.abs(order_a).sum()) * float(np.abs(order_b).sum()))
    return float((order_a * order_b).sum() / untied) if untied else 1.0


PARITY_COLUMNS = [
    "variant",
    "scored",
    "pairs",
    "max |Δ logit|",
    "max |Δ score|",
    "Kendall tau",
    "top-1",
    "batch effect",
    "between graphs",
]


def parity_rows(name: str, variant: Variant) -> list[list[str]]:
    """Return a row of PARITY_COLUMNS for each run of the variant."""
    return [
        [
            name,
            run,
            str(found.pairs),
            f"{found.max_logit_difference:.2g}",
            f"{found.max_score_difference:.2g}",
            f"{found.kendall_tau:.4f}",
            f"{found.top1_agreement:.0%}",
            f"{variant.batch_effect:.2g}",
            f"{variant.graph_difference:.2g}",
        ]
        for run, found in variant.parity.items()
    ]
