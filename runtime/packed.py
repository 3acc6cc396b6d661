"""Scoring with the packed graph: one row without padding, the shared prefix computed once.

The instruction's keys and values are kept across requests, the query's are computed once per request.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from onnxrank.manifest import KeyValueCache
from onnxrank.packing import packs
from onnxrank.session import Array, Session

# A pack's attention bias grows with the square of its tokens: packs of 128 to 256 were fastest on two cores.
PACK_TOKENS = 256
# Enough for an application's few instructions; one holds about 13 MB for Qwen3-Reranker-0.6B.
KEPT_INSTRUCTIONS = 4

Past = dict[str, Array]


class PackedScorer:
    """The packed graph of one variant and the key-value caches of the last instructions."""

    def __init__(self, session: Session, cache: KeyValueCache) -> None:
        self._session = session
        self._cache = cache
        self._kept: OrderedDict[tuple[int, ...], Past] = OrderedDict()
        self._lock = threading.Lock()

    def score(
        self,
        instruction: tuple[int, ...],
        query: tuple[int, ...],
        documents: Sequence[Sequence[int]],
        *,
        pack_tokens: int = PACK_TOKENS,
        done: Callable[[int], None] = lambda count: None,
    ) -> NDArray[np.float32]:
        """Return the logits of documents (each at least one token), float32 `[len(documents), 1]`, in input order.

        `done(n)` is called after each pack of n documents.
        """
        past = self._instruction(instruction) if instruction else self._empty()
        if query:
            past = self._extend(past, query)
        logits = np.empty((len(documents), 1), np.float32)
        for group in packs([len(ids) for ids in documents], pack_tokens):
            feeds = _pack([documents[i] for i in group], _length(past))
            (output,) = self._session.run(["logits"], {**feeds, **past})
            logits[group] = output
            done(len(group))
        return logits

    def _instruction(self, token_ids: tuple[int, ...]) -> Past:
        with self._lock:
            if token_ids in self._kept:
                self._kept.move_to_end(token_ids)
                return self._kept[token_ids]
        past = self._extend(self._empty(), token_ids)
        with self._lock:
            self._kept[token_ids] = past
            while len(self._kept) > KEPT_INSTRUCTIONS:
                self._kept.popitem(last=False)
        return past

    def _empty(self) -> Past:
        shape = (1, self._cache.heads, 0, self._cache.head_dim)
        return {name: np.empty(shape, np.float32) for name in self._names("past_key_values")}

    def _extend(self, past: Past, token_ids: tuple[int, ...]) -> Past:
        feeds = _pack([token_ids], _length(past))
        feeds["segment_ids"] = np.zeros_like(feeds["segment_ids"])
        present = self._session.run(self._names("present"), {**feeds, **past})
        return dict(zip(self._names("past_key_values"), present, strict=True))

    def _names(self, prefix: str) -> list[str]:
        return [f"{prefix}.{layer}.{part}" for layer in range(self._cache.layers) for part in ("key", "value")]

    def __getstate__(self) -> tuple[Session, KeyValueCache]:
        return self._session, self._cache

    def __setstate__(self, state: tuple[Session, KeyValueCache]) -> None:
        PackedScorer.__init__(self, *state)


def _length(past: Past) -> int:
    return int(next(iter(past.values())).shape[2])


def _pack(documents: Sequence[Sequence[int]], past: int) -> dict[str, Array]:
    """Lay documents in one row: each starts at position `past` and is a segment of its own, from 1 on."""
    lengths = np.array([len(ids) for ids in documents])
    position_ids = np.concatenate([past + np.arange(n) for n in lengths])
    return {
        "input_ids": np.concatenate([np.asarray(ids, np.int64) for ids in documents])[None],
        "position_ids": position_ids.astype(np.int64)[None],
        "segment_ids": np.repeat(np.arange(1, len(lengths) + 1), lengths).astype(np.int64)[None],
        "last_index": np.cumsum(lengths).astype(np.int64) - 1,
    }
