"""Runs the portable graph: padded rows, any execution provider, any family."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from onnxrank.manifest import VocabularyReadout
from onnxrank.packing import padded_batches, share
from onnxrank.session import Array, Runner, Session

# Rows x longest row of all batches that run at the same time: bounds their workspace.
BATCH_TOKENS = 2048
# Of one of them: smaller ones read the weights too often.
SMALLEST_BATCH_TOKENS = 256

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
    batch_tokens: int | None = None,
    done: Done = lambda count: None,
) -> Floats:
    """Return the logits of token-id sequences, float32 `[len(sequences), columns]`, in input order.

    second_starts: where the second text of each sequence starts, for graphs that want token_type_ids.
    batch_tokens: rows x longest row of a batch; by default, as keeps all cores busy in bounded memory.
    `done(n)` is called after each batch of n sequences.
    """
    logits: list[Floats] = [np.empty(0, np.float32)] * len(sequences)
    batches, runner = _plan(session, sequences, batch_tokens)
    padded = [_pad([sequences[i] for i in rows], pad_token_id, pad_left) for rows in batches]
    starts = [[second_starts[i] if second_starts else len(sequences[i]) for i in rows] for rows in batches]
    outputs = _run_each(runner, "logits", padded, starts)
    for rows, feeds, output in zip(batches, padded, outputs, strict=True):
        found = output if readout is None else _read(output, feeds["attention_mask"], readout)
        for i, row in zip(rows, found, strict=True):
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
    batch_tokens: int | None = None,
    done: Done = lambda count: None,
) -> list[Floats]:
    """Return a float32 vector `[dim]` for each sequence, or `[tokens, dim]` if per_token, in input order.

    attended: how many tokens of each sequence attention sees, from its first; all by default. The rest is as in
    `score`.
    """
    found: list[Floats] = [np.empty(0, np.float32)] * len(sequences)
    batches, runner = _plan(session, sequences, batch_tokens)
    padded = [_pad([sequences[i] for i in rows], pad_token_id, pad_left) for rows in batches]
    real = [feeds["attention_mask"].astype(np.bool_) for feeds in padded]
    if attended:
        for rows, feeds, tokens in zip(batches, padded, real, strict=True):
            counts = np.array([attended[i] for i in rows])[:, None]
            feeds["attention_mask"] &= tokens.cumsum(axis=1) <= counts
    starts = [[len(sequences[i]) for i in rows] for rows in batches]
    outputs = _run_each(runner, "token_embeddings" if per_token else "embeddings", padded, starts)
    for rows, tokens, output in zip(batches, real, outputs, strict=True):
        for position, i in enumerate(rows):
            found[i] = output[position][tokens[position]] if per_token else output[position]
        done(len(rows))
    return found


def _plan(
    session: Session, sequences: Sequence[Sequence[int]], batch_tokens: int | None
) -> tuple[list[list[int]], Runner]:
    """Return the batches, as indices, and what runs them."""
    lengths = [len(ids) for ids in sequences]
    most = max(SMALLEST_BATCH_TOKENS, BATCH_TOKENS // session.cores)
    batches = padded_batches(lengths, batch_tokens or share(lengths, most, session.cores))
    return batches, session.runner([len(rows) * lengths[rows[0]] for rows in batches])


def _run_each(
    runner: Runner, output: str, padded: Sequence[dict[str, Array]], second_starts: Sequence[Sequence[int]]
) -> Iterator[Floats]:
    typed = "token_type_ids" in runner.input_names
    batches = (
        {
            **feeds,
            **({"token_type_ids": _token_types(feeds["attention_mask"], starts)} if typed else {}),
            **runner.empty_caches(len(feeds["input_ids"])),
        }
        for feeds, starts in zip(padded, second_starts, strict=True)
    )
    for (found,) in runner.run_each([output], batches):
        yield found


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
