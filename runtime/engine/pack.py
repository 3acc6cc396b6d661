"""What one run of a session scores, and the graphs that score it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onnxrank.text.prompt import EncodedPair, TokenIds

# Token ids that come before documents, in pieces that may be shared further: the instruction, then the query.
Prefix = tuple[TokenIds, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """What one run scores.

    rows: indices of the request's pairs. prefix: the token ids before all of them, which are computed once; empty
    where the graph reads whole prompts. sequences: the token ids of each row behind the prefix. second_starts: where
    the second text starts in each.
    """

    rows: tuple[int, ...]
    prefix: Prefix
    sequences: tuple[TokenIds, ...]
    second_starts: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Tokens that the run computes, padding included."""
        return len(self.rows) * max(map(len, self.sequences))


class PairGraph(Protocol):
    """A graph that scores pairs: it divides a request into packs, and runs them."""

    def plan(self, pairs: Sequence[EncodedPair], pack_tokens: int | None) -> list[Pack]:
        """Divide pairs into packs of `pack_tokens`, or as keeps all cores busy."""
        ...

    def run_each(self, packs: Sequence[Pack]) -> Iterator[tuple[Pack, NDArray[np.float32]]]:
        """Yield each pack with its logits, float32 `[rows, columns]`, in order."""
        ...
