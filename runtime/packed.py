"""Scoring with the packed graph: rows that continue a shared prefix, whose keys and values are computed once.

The instruction's are kept across requests, the query's are computed once per request.
"""

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxrank.manifest import KeyValueCache, Variant
from onnxrank.packing import RUN_TOKENS, padded_batches, share
from onnxrank.prompt import EncodedPair, TokenIds
from onnxrank.session import CPU, Array, Runner, Session

# What a core takes at once: smaller packs read the weights more often, larger ones leave cores idle at the end.
PACK_TOKENS = 128
# Tokens of a lone text from which on GroupQueryAttention takes it: on CPUs as fast as plain products, or faster.
GROUPED_FROM = 1
# Enough for an application's few instructions; one holds about 13 MB for Qwen3-Reranker-0.6B.
KEPT_INSTRUCTIONS = 4

Past = dict[str, Array]


def packed_scorer(
    folder: Path, variant: Variant, cache: KeyValueCache | None, threads: int | None
) -> "PackedScorer | None":
    """Return the scorer of a variant's packed graph, or None if it has none."""
    if variant.packed is None or cache is None:
        return None
    unpack = folder / variant.unpack if variant.unpack else None
    return PackedScorer(Session(folder / variant.packed, [CPU], threads, unpack=unpack), cache)


class PackedScorer:
    """The packed graph of one variant and the key-value caches of the last instructions."""

    def __init__(self, session: Session, cache: KeyValueCache) -> None:
        self._session = session
        self._cache = cache
        self._kept: OrderedDict[tuple[int, ...], Past] = OrderedDict()
        self._lock = threading.Lock()

    def score_pairs(
        self, pairs: Sequence[EncodedPair], *, done: Callable[[int], None] = lambda count: None
    ) -> NDArray[np.float32]:
        """Return the logits of pairs with one instruction, float32 `[len(pairs), 1]`, in input order.

        A query with enough documents gets a run of its own, before theirs; other pairs share packs behind the
        instruction.
        """
        by_query: dict[TokenIds, list[int]] = defaultdict(list)
        for i, pair in enumerate(pairs):
            by_query[pair.query].append(i)
        logits = np.empty((len(pairs), 1), np.float32)
        lone: list[int] = []
        for query, rows in by_query.items():
            if (len(rows) - 1) * len(query) <= RUN_TOKENS:
                lone += rows
            else:
                documents = [pairs[i].document for i in rows]
                logits[rows] = self.score(pairs[rows[0]].instruction, query, documents, done=done)
        if lone:
            whole = [pairs[i].query + pairs[i].document for i in lone]
            logits[lone] = self.score(pairs[lone[0]].instruction, (), whole, done=done)
        return logits

    def score(
        self,
        instruction: tuple[int, ...],
        query: tuple[int, ...],
        documents: Sequence[Sequence[int]],
        *,
        pack_tokens: int | None = None,
        done: Callable[[int], None] = lambda count: None,
    ) -> NDArray[np.float32]:
        """Return the logits of documents (each at least one token), float32 `[len(documents), 1]`, in input order.

        pack_tokens: of a run; by default, as keeps all cores busy. `done(n)` is called after each pack of n documents.
        """
        lengths = [len(ids) for ids in documents]
        packs = padded_batches(lengths, pack_tokens or share(lengths, PACK_TOKENS, self._session.cores))
        runner = self._session.runner([len(rows) * lengths[rows[0]] for rows in packs])
        past = self._instruction(runner, instruction) if instruction else self._empty()
        if query:
            past = self._extend(runner, past, query)
        logits = np.empty((len(documents), 1), np.float32)
        batches = ({**_pack([documents[i] for i in rows]), **past} for rows in packs)
        for rows, (output,) in zip(packs, runner.run_each(["logits"], batches), strict=True):
            logits[rows] = output
            done(len(rows))
        return logits

    def _instruction(self, runner: Runner, token_ids: tuple[int, ...]) -> Past:
        with self._lock:
            if token_ids in self._kept:
                self._kept.move_to_end(token_ids)
                return self._kept[token_ids]
        past = self._extend(runner, self._empty(), token_ids)
        with self._lock:
            self._kept[token_ids] = past
            while len(self._kept) > KEPT_INSTRUCTIONS:
                self._kept.popitem(last=False)
        return past

    def _empty(self) -> Past:
        shape = (self._cache.heads, 0, self._cache.head_dim)
        return {name: np.empty(shape, np.float32) for name in self._names("past_key_values")}

    def _extend(self, runner: Runner, past: Past, token_ids: tuple[int, ...]) -> Past:
        feeds = _pack([token_ids], present_length=len(token_ids))
        present = runner.run(self._names("present"), {**feeds, **past})
        return {
            name: np.concatenate([past[name], new[:, 0]], axis=1)
            for name, new in zip(self._names("past_key_values"), present, strict=True)
        }

    def _names(self, prefix: str) -> list[str]:
        return [f"{prefix}.{layer}.{part}" for layer in range(self._cache.layers) for part in ("key", "value")]

    def __getstate__(self) -> tuple[Session, KeyValueCache]:
        return self._session, self._cache

    def __setstate__(self, state: tuple[Session, KeyValueCache]) -> None:
        PackedScorer.__init__(self, *state)


def _pack(documents: Sequence[Sequence[int]], *, present_length: int = 0) -> dict[str, Array]:
    """Pad documents on the right; what follows a document is never seen by it."""
    lengths = np.array([len(ids) for ids in documents])
    token_ids = np.zeros((len(documents), lengths.max()), np.int64)
    for row, ids in zip(token_ids, documents, strict=True):
        row[: len(ids)] = ids
    return {
        "input_ids": token_ids,
        "last_index": lengths - 1,
        "present_length": np.array([present_length]),
        "grouped_from": np.array([GROUPED_FROM]),
    }
