"""The padded graph: rows padded to one length, on either side; it runs on any execution provider, for any family."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Scoring, VocabularyReadout
from onnxrank.engine.batching import padded_batches, token_budget
from onnxrank.engine.pack import Pack, Row
from onnxrank.engine.session import Array, Session
from onnxrank.text.prompt import EncodedPair

# Rows x longest row, summed over all batches that run at the same time; it bounds their workspace.
BATCH_TOKENS = 2048
# Rows x longest row of one batch, at least: smaller ones read the weights too often.
SMALLEST_BATCH_TOKENS = 256

Floats = NDArray[np.float32]
PaddingSide = Literal["right", "left"]
Rows = Sequence[Sequence[int]]


def padded_plan(session: Session, sequences: Rows, batch_tokens: int | None) -> list[list[int]]:
    """Return batches, as indices of sequences. batch_tokens: rows x longest row; by default it is chosen to keep all
    cores busy in bounded memory."""
    lengths = [len(ids) for ids in sequences]
    most = max(SMALLEST_BATCH_TOKENS, BATCH_TOKENS // session.cores)
    return padded_batches(lengths, batch_tokens or token_budget(lengths, most, session.cores))


def round_tokens(session: Session) -> int:
    """Return how many tokens keep all cores busy, in batches that are not too small."""
    return SMALLEST_BATCH_TOKENS * session.cores


def run_padded(
    session: Session,
    output: str,
    batches: Sequence[Rows],
    *,
    pad_token_id: int,
    pad_left: bool = False,
    attended: Sequence[Sequence[int]] | None = None,
    second_starts: Sequence[Sequence[int]] | None = None,
) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """Yield each batch's output and its token mask (False for padding), bool `[rows, longest]`.

    attended: how many leading tokens of each sequence attention sees; all by default. second_starts: where the second
    text of each sequence starts, for graphs with a token_type_ids input.
    """
    runner = session.runner([len(rows) * max(map(len, rows)) for rows in batches])
    typed = "token_type_ids" in runner.input_names
    padded = [_pad(rows, pad_token_id, pad_left) for rows in batches]
    real = [feeds["attention_mask"].astype(np.bool_) for feeds in padded]
    for i, feeds in enumerate(padded):
        if typed:
            starts = second_starts[i] if second_starts else [len(ids) for ids in batches[i]]
            feeds["token_type_ids"] = _token_types(feeds["attention_mask"], starts)
        if attended:
            feeds["attention_mask"] &= real[i].cumsum(axis=1) <= np.array(attended[i])[:, None]
    fed = ({**feeds, **runner.empty_caches(len(feeds["input_ids"]))} for feeds in padded)
    for (found,), tokens in zip(runner.run_each([output], fed), real, strict=True):
        yield found, tokens


def read_vocabulary(output: Floats, tokens: NDArray[np.bool_], readout: VocabularyReadout) -> Floats:
    """Return the score `[rows, 1]` from the vocabulary logits of each row's last token."""
    last = tokens.shape[1] - 1 - tokens[:, ::-1].argmax(axis=1)
    rows: Floats = output[np.arange(len(output)), last]
    logits = rows[:, readout.true_token_id]
    if readout.false_token_id is not None:
        logits = logits - rows[:, readout.false_token_id]
    column: Floats = logits[:, None]
    return column


class PaddedGraph:
    """Scores whole prompts in padded batches."""

    def __init__(self, session: Session, scoring: Scoring, *, pad_left: bool) -> None:
        self._session = session
        self._pad_token_id = scoring.pad_token_id
        self._readout = scoring.readout
        self._pad_left = pad_left

    @property
    def round_tokens(self) -> int:
        return round_tokens(self._session)

    def rows(self, pairs: Sequence[EncodedPair]) -> list[Row]:
        return [Row(prefix=(), sequence=pair.token_ids, second_start=pair.document_start) for pair in pairs]

    def pack(self, rows: Sequence[Row], pack_tokens: int | None) -> list[Pack]:
        return [
            Pack(
                rows=tuple(chosen),
                prefix=(),
                sequences=tuple(rows[i].sequence for i in chosen),
                second_starts=tuple(rows[i].second_start for i in chosen),
            )
            for chosen in padded_plan(self._session, [row.sequence for row in rows], pack_tokens)
        ]

    def close(self) -> None:
        self._session.close()

    def run_each(self, packs: Sequence[Pack]) -> Iterator[tuple[Pack, Floats]]:
        outputs = run_padded(
            self._session,
            "logits",
            [pack.sequences for pack in packs],
            second_starts=[pack.second_starts for pack in packs],
            pad_token_id=self._pad_token_id,
            pad_left=self._pad_left,
        )
        for pack, (output, tokens) in zip(packs, outputs, strict=True):
            yield pack, output if self._readout is None else read_vocabulary(output, tokens, self._readout)


def _pad(sequences: Rows, pad_token_id: int, left: bool) -> dict[str, Array]:
    shape = len(sequences), max(map(len, sequences))
    input_ids = np.full(shape, pad_token_id, np.int64)
    attention_mask = np.zeros(shape, np.int64)
    for row, ids in enumerate(sequences):
        real = slice(shape[1] - len(ids), None) if left else slice(len(ids))
        input_ids[row, real] = ids
        attention_mask[row, real] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}


def _token_types(attention_mask: Array, second_starts: Sequence[int]) -> Array:
    """Return 1 for the tokens of the second text, else 0; second_starts count from each row's first real token."""
    positions = attention_mask.cumsum(axis=1) - 1
    second: Array = positions >= np.array(second_starts)[:, None]
    types: Array = (second & (attention_mask == 1)).astype(np.int64)
    return types
