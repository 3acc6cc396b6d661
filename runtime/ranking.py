"""Turns scores into the ranked list that every model returns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import InputError


def check_top_k(top_k: int | None) -> None:
    """Raise InputError unless top_k is None or a positive integer."""
    if top_k is not None and (not isinstance(top_k, int | np.integer) or isinstance(top_k, bool) or top_k < 1):
        raise InputError(f"top_k is {top_k!r:.60}; give at least 1, or leave it out to get all documents.")


def ranked(
    order_by: NDArray[np.float32],
    scores: NDArray[np.float32],
    truncated: Sequence[bool] | NDArray[np.bool_],
    texts: Sequence[str] | None,
    top_k: int | None,
) -> list[dict[str, Any]]:
    """Return dicts with `corpus_id` (index), `score`, `truncated` and, with `texts`, `text`, best first.

    order_by: float32 [n], the logits, because large ones differ even where their sigmoid rounds to 1. Equal logits keep
    their input order.
    """
    hits: list[dict[str, Any]] = [
        {"corpus_id": int(i), "score": float(scores[i]), "truncated": bool(truncated[i])}
        for i in np.argsort(-order_by, kind="stable")[:top_k]
    ]
    if texts is not None:
        for hit in hits:
            hit["text"] = texts[hit["corpus_id"]]
    return hits
