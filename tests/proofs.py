"""Figures of a proof, to put together those that a test is about."""

from typing import Any

from onnxrank.artifact.manifest import Interval, Parity, Variant

# The fields of a graph that scores exactly like PyTorch.
SAME: dict[str, Any] = {
    "pairs": 9,
    "max_logit_difference": 0.0,
    "max_score_difference": 0.0,
    "noise": Interval(mean=0.0, low=0.0, high=0.0),
    "gain": Interval(mean=1.0, low=1.0, high=1.0),
    "outlier": 0.0,
    "kendall_tau": 1.0,
    "top1_agreement": 1.0,
    "flips": 0.0,
    "ndcg_points": None,
}


def variant_of(parity: dict[str, Parity], *, batch_effect: float) -> Variant:
    """Return a variant without files."""
    return Variant(
        padded="", prefix=None, requantize=None, past=None, exits={}, files=(), settings={}, kept_float32=(),
        parity=parity, batch_effect=batch_effect, graph_difference=0.0, accepted_loss=False, evaluation=None,
    )  # fmt: skip
