"""Runs the portable graph: padded rows, any execution provider, any family."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from onnxrank.manifest import VocabularyReadout
from onnxrank.packing import padded_batches
from onnxrank.session import Array, Session

# Rows x longest row: bounds the workspace of one run.
BATCH_TOKENS = 2048

Done = Callable[[int], None]
Floats = NDArray[np.float32]


def score(
    session: Session,
    sequences: Sequence[Sequence[int]],
    *,
    pad_token_id: int,
    readout: VocabularyReadout | None = None,
    second_starts: Sequence[int] | None = None,
    pad_left: bool = False,
    batch_tokens: int = BATCH_TOKENS,
    done: Done = lambda count: None,
) -> Floats:
    """Return the logits of token-id sequences, float32 `[len(sequences), columns]`, in input order.

    second_starts: where the second text of each sequence starts, for graphs that want token_type_ids.
    `done(n)` is called after each batch of n sequences.
    """
    logits: list[Floats] = [np.empty(0, np.float32)] * len(sequences)
    for rows in padded_batches([len(ids) for ids in sequences], batch_tokens):
        feeds = _pad([sequences[i] for i in rows], pad_token_id, pad_left)
        mask = feeds["attention_mask"]
        starts = [second_starts[i] if second_starts else len(sequences[i]) for i in rows]
        output = _run(session, "logits", feeds, starts)
        for i, row in zip(rows, output if readout is None else _read(output, mask, readout), strict=True):
            logits[i] = row
        done(len(rows))
    return np.stack(logits) if logits else np.empty((0, 1), np.float32)


def embed(
    session: Session,
    sequences: Sequence[Sequence[int]],
    *,
    per_token: bool,
    pad_token_id: int,
    attended: Sequence[int] | None = None,
    pad_left: bool = False,
    batch_tokens: int = BATCH_TOKENS,
    done: Done = lambda count: None,
) -> list[Floats]:
    """Return a float32 vector `[dim]` for each sequence, or `[tokens, dim]` if per_token, in input order.

    attended: how many tokens of each sequence attention sees, from its first; all by default.
    """
    found: list[Floats] = [np.empty(0, np.float32)] * len(sequences)
    for rows in padded_batches([len(ids) for ids in sequences], batch_tokens):
        feeds = _pad([sequences[i] for i in rows], pad_token_id, pad_left)
        real = feeds["attention_mask"].astype(np.bool_)
        if attended:
            counts = np.array([attended[i] for i in rows])[:, None]
            feeds["attention_mask"] &= real.cumsum(axis=1) <= counts
        starts = [len(sequences[i]) for i in rows]
        output = _run(session, "token_embeddings" if per_token else "embeddings", feeds, starts)
        for position, i in enumerate(rows):
            found[i] = output[position][real[position]] if per_token else output[position]
        done(len(rows))
    return found


def _run(session: Session, output: str, feeds: dict[str, Array], second_starts: Sequence[int]) -> Floats:
    if "token_type_ids" in session.input_names:
        feeds["token_type_ids"] = _token_types(feeds["attention_mask"], second_starts)
    found: Floats = session.run([output], {**feeds, **session.empty_caches(len(feeds["input_ids"]))})[0]
    return found


def _pad(sequences: Sequence[Sequence[int]], pad_token_id: int, left: bool) -> dict[str, Array]:
    shape = len(sequences), max(map(len, sequences))
    input_ids = np.full(shape, pad_token_id, np.int64)
    attention_mask = np.zeros(shape, np.int64)
    for row, ids in enumerate(sequences):
        real = slice(shape[1] - len(ids), None) if left else slice(len(ids))
        input_ids[row, real] = ids
        attention_mask[row, real] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}


def _token_types(attention_mask: Array, second_starts: Sequence[int]) -> Array:
    """1 for the tokens of the second text, counted from each row's first real token."""
    positions = attention_mask.cumsum(axis=1) - 1
    second: Array = positions >= np.array(second_starts)[:, None]
    types: Array = (second & (attention_mask == 1)).astype(np.int64)
    return types


def _read(output: Floats, attention_mask: Array, readout: VocabularyReadout) -> Floats:
    width = attention_mask.shape[1]
    last = width - 1 - attention_mask[:, ::-1].argmax(axis=1)
    rows: Floats = output[np.arange(len(output)), last]
    logits = rows[:, readout.true_token_id]
    if readout.false_token_id is not None:
        logits = logits - rows[:, readout.false_token_id]
    column: Floats = logits[:, None]
    return column
