"""`Row` and `Pack`: what one run of a session scores; `PairGraph`: the interface of graphs that score pairs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onnxrank.text.body import TokenIds
from onnxrank.text.prompt import EncodedPair

# Token ids before the documents, in pieces that are cached one by one: the instruction, then the query.
Prefix = tuple[TokenIds, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A pair as a graph reads it: token ids after those of `prefix`, which other rows share. second_start: where the
    second text starts in the sequence."""

    prefix: Prefix
    sequence: Sequence[int]
    second_start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The batch that one run scores.

    rows: indices of the rows that were packed. prefix: the token ids that all rows start with, which are computed once;
    empty if the graph reads whole prompts. sequences, second_starts: of each row.
    """

    rows: tuple[int, ...]
    prefix: Prefix
    sequences: tuple[Sequence[int], ...]
    second_starts: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Number of tokens that the run computes, padding included."""
        return len(self.rows) * max(map(len, self.sequences))


class PairGraph(Protocol):
    """A graph that scores pairs: it divides a request into batches and runs them."""

    @property
    def round_tokens(self) -> int:
        """How many tokens at a time keep all cores busy."""
        ...

    def rows(self, pairs: Sequence[EncodedPair]) -> list[Row]:
        """Divide each pair into what it shares with others, if that pays, and the rest."""
        ...

    def pack(self, rows: Sequence[Row], pack_tokens: int | None) -> list[Pack]:
        """Divide rows into batches of `pack_tokens`; None means: so that all cores are busy."""
        ...

    def run_each(self, packs: Sequence[Pack]) -> Iterator[tuple[Pack, NDArray[np.float32]]]:
        """Yield each batch with its logits, float32 `[rows, columns]`, in order."""
        ...

    def close(self) -> None:
        """Free the weights, threads and cached prefixes; the next run makes them again."""
        ...
