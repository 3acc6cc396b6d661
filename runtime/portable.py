"""Scoring with the portable graph: padded rows, any execution provider, any family."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from onnxrank.manifest import VocabularyReadout
from onnxrank.packing import padded_batches
from onnxrank.session import Session

# Rows x longest row: bounds the workspace of one run.
BATCH_TOKENS = 2048


def score(
    session: Session,
    sequences: Sequence[Sequence[int]],
    *,
    pad_token_id: int,
    readout: VocabularyReadout | None,
    pad_left: bool = False,
    batch_tokens: int = BATCH_TOKENS,
    done: Callable[[int], None] = lambda count: None,
) -> NDArray[np.float32]:
    """Return the logits of token-id sequences, float32 `[len(sequences)]`, in input order.

    `done(n)` is called after each batch of n sequences.
    """
    logits = np.empty(len(sequences), np.float32)
    for rows in padded_batches([len(ids) for ids in sequences], batch_tokens):
        input_ids, attention_mask = _pad([sequences[i] for i in rows], pad_token_id, pad_left)
        feeds = {"input_ids": input_ids, "attention_mask": attention_mask, **session.empty_caches(len(rows))}
        (output,) = session.run(["logits"], feeds)
        logits[rows] = _read(output, attention_mask, readout)
        done(len(rows))
    return logits


def _pad(
    sequences: Sequence[Sequence[int]], pad_token_id: int, left: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    shape = len(sequences), max(map(len, sequences))
    input_ids = np.full(shape, pad_token_id, np.int64)
    attention_mask = np.zeros(shape, np.int64)
    for row, ids in enumerate(sequences):
        real = slice(shape[1] - len(ids), None) if left else slice(len(ids))
        input_ids[row, real] = ids
        attention_mask[row, real] = 1
    return input_ids, attention_mask


def _read(
    output: NDArray[np.float32], attention_mask: NDArray[np.int64], readout: VocabularyReadout | None
) -> NDArray[np.float32]:
    if readout is None:
        return output[:, 0]
    width = attention_mask.shape[1]
    last = width - 1 - attention_mask[:, ::-1].argmax(axis=1)
    rows = output[np.arange(len(output)), last]
    difference: NDArray[np.float32] = rows[:, readout.true_token_id] - rows[:, readout.false_token_id]
    return difference
