"""Scores in padded batches, for peers that take padded inputs."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.worker import batches, prompts

PAD = 151643

Ids = NDArray[np.int64]


def score_padded(request: dict[str, Any], batch_tokens: int, run: Callable[[dict[str, Ids]], Any]) -> list[float]:
    """Score documents in batches of similar length; `run` gives the logits [rows, 1] of `feeds`."""
    texts = prompts(request)
    scores = [0.0] * len(texts)
    for group in batches([len(ids) for ids in texts], batch_tokens):
        logits = run(feeds([texts[i] for i in group]))
        for i, row in zip(group, logits.tolist(), strict=True):
            (scores[i],) = row
    return scores


def feeds(rows: list[list[int]]) -> dict[str, Ids]:
    """Return the inputs of a batch, padded on the right, where causal attention does not see it."""
    width = max(map(len, rows))
    ids = np.full((len(rows), width), PAD, np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask, "position_ids": np.tile(np.arange(width), (len(rows), 1))}
