"""`Pack`: the batch that one run of a session scores; `PairGraph`: the interface of graphs that score pairs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onnxrank.text.prompt import EncodedPair, TokenIds

# Token ids before the documents, in pieces that are cached one by one: the instruction, then the query.
Prefix = tuple[TokenIds, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The batch that one run scores.

    rows: indices of the request's pairs. prefix: the token ids that all rows start with, which are computed once; empty
    if the graph reads whole prompts. sequences: the token ids of each row after the prefix. second_starts: where the
    second text starts in each sequence.
    """

    rows: tuple[int, ...]
    prefix: Prefix
    sequences: tuple[TokenIds, ...]
    second_starts: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Number of tokens that the run computes, padding included."""
        return len(self.rows) * max(map(len, self.sequences))


class PairGraph(Protocol):
    """A graph that scores pairs: it divides a request into batches and runs them."""

    def plan(self, pairs: Sequence[EncodedPair], pack_tokens: int | None) -> list[Pack]:
        """Divide pairs into batches of `pack_tokens`; None means: so that all cores are busy."""
        ...

    def run_each(self, packs: Sequence[Pack]) -> Iterator[tuple[Pack, NDArray[np.float32]]]:
        """Yield each batch with its logits, float32 `[rows, columns]`, in order."""
        ...

    def close(self) -> None:
        """Free the weights, threads and cached prefixes; the next run makes them again."""
        ...
