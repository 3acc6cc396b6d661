"""Trains rerankers on Debian's package descriptions, from pre-trained weights."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.fidelity.texts import Candidates, training, training_pairs

log = logging.getLogger("fidelity")

QUERIES, DOCUMENTS = 2, 8
WARM_UP = 30
# A wrong document is seven times as frequent as the right one.
RIGHT_WEIGHT = 3.0

# score(candidates) returns the logits [queries, documents].
Score = Callable[[Sequence[Candidates]], Tensor]


def train(model: Any, score: Score, *, steps: int, rate: float) -> None:
    """Fine-tune `model` in place; one step sees QUERIES queries of DOCUMENTS documents each.

    The matrix products are in bfloat16 with float32 weights, as people train.
    """
    torch.manual_seed(1)
    source = training(training_pairs(), seed=2, count=DOCUMENTS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, fused=True)
    start, recent = time.monotonic(), []
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP) * max(0.02, 1 - step / steps)
        with torch.autocast("cpu", torch.bfloat16):
            logits = score([next(source) for _ in range(QUERIES)]).float()
        loss = _loss(logits)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent.append(loss.item())
        if (step + 1) % 20 == 0:
            mean = sum(recent) / len(recent)
            log.info("step %d of %d: loss %.3f, %.0f s", step + 1, steps, mean, time.monotonic() - start)
            recent.clear()
    model.eval()


def _loss(logits: Tensor) -> Tensor:
    """The right document is the first."""
    right = torch.zeros_like(logits)
    right[:, 0] = 1
    ranking = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    # Sets the threshold of yes and no, which the ranking loss alone leaves open.
    answering = F.binary_cross_entropy_with_logits(logits, right, pos_weight=torch.tensor(RIGHT_WEIGHT))
    return ranking + 0.3 * answering
