"""The prefix graph: scores documents behind a common prefix, whose keys and values are computed once and cached, or
read from a file."""

import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import KeyValueCache
from onnxrank.engine.batching import RUN_TOKENS, padded_batches, token_budget
from onnxrank.engine.forks import forget_in_children
from onnxrank.engine.pack import Pack, Prefix, Row
from onnxrank.engine.past_file import Past, PastFile, past_names
from onnxrank.engine.session import Runner, Session
from onnxrank.text.body import TokenIds
from onnxrank.text.prompt import EncodedPair

# From this length, in tokens, a single row uses GroupQueryAttention: on CPUs it is never slower than plain products.
GROUPED_FROM = 1
# Tokens of a batch on one core: smaller batches read the weights more often, larger ones leave cores idle at the end.
PACK_TOKENS = 128
# Total length of all computed prefixes, by default; an instruction of 60 tokens takes 13 MB for Qwen3-Reranker-0.6B.
CACHED_TOKENS = 512

Floats = NDArray[np.float32]


class PrefixCache:
    """Keys and values of the most recently used prefixes, and those that a file holds."""

    def __init__(self, shape: KeyValueCache, stored: PastFile | None = None, most_bytes: int | None = None) -> None:
        """most_bytes: of all computed prefixes; by default those of CACHED_TOKENS."""
        self._shape = shape
        self._stored = stored
        self._most_bytes = most_bytes
        one = 2 * shape.layers * shape.heads * shape.head_dim * np.dtype(np.float32).itemsize
        self._most_tokens = CACHED_TOKENS if most_bytes is None else most_bytes // one
        self._start()
        forget_in_children(self)

    def past(self, prefix: Prefix, runner: Runner) -> Past:
        """Return a prefix's keys and values, computed by `runner` unless they are cached or a file holds them.

        If several callers need the same prefix, one computes it and the others wait for the result. Raises
        ArtifactError if the file cannot be used.
        """
        pieces = tuple(piece for piece in prefix if piece)
        if not pieces:
            return self._empty()
        if self._stored and pieces == (self._stored.token_ids,):
            return self._read(self._stored)
        with self._lock:
            entry = self._entries.setdefault(pieces, _Entry())
            self._entries.move_to_end(pieces)
        with entry.lock:
            if entry.past is None:
                entry.past = self._extend(self.past(pieces[:-1], runner), pieces[-1], runner)
        self._evict(pieces)
        return entry.past

    def _read(self, stored: PastFile) -> Past:
        with self._fixed.lock:
            if self._fixed.past is None:
                self._fixed.past = stored.read(self._shape)
            return self._fixed.past

    def _evict(self, used: Prefix) -> None:
        with self._lock:
            if _tokens(used) > self._most_tokens:
                self._entries.pop(used, None)
            tokens = sum(map(_tokens, self._entries))
            while tokens > self._most_tokens:
                pieces, _ = self._entries.popitem(last=False)
                tokens -= _tokens(pieces)

    def forget(self) -> None:
        """Start empty, with new locks: in a forked child, another thread of the parent may have held the old ones."""
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[Prefix, _Entry] = OrderedDict()
        self._fixed = _Entry()

    def _empty(self) -> Past:
        shape = (self._shape.heads, 0, self._shape.head_dim)
        return {name: np.empty(shape, np.float32) for name in past_names("past_key_values", self._shape)}

    def _extend(self, past: Past, token_ids: TokenIds, runner: Runner) -> Past:
        feeds = prefix_feeds([token_ids], present_length=len(token_ids))
        present = runner.run(past_names("present", self._shape), {**feeds, **past})
        return {
            name: np.concatenate([past[name], new[:, 0]], axis=1)
            for name, new in zip(past_names("past_key_values", self._shape), present, strict=True)
        }

    def __getstate__(self) -> tuple[KeyValueCache, PastFile | None, int | None]:
        return self._shape, self._stored, self._most_bytes

    def __setstate__(self, state: tuple[KeyValueCache, PastFile | None, int | None]) -> None:
        PrefixCache.__init__(self, *state)


class _Entry:
    """A prefix's keys and values; `past` is None until they are computed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.past: Past | None = None


def _tokens(prefix: Prefix) -> int:
    return sum(map(len, prefix))


def prefix_feeds(documents: Sequence[Sequence[int]], *, present_length: int = 0) -> dict[str, Any]:
    """Return the graph's inputs except the past. Documents are padded on the right, where causal attention does not see
    the padding."""
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


class PrefixGraph:
    """Scores documents behind a cached prefix."""

    def __init__(
        self,
        session: Session,
        shape: KeyValueCache,
        stored: PastFile | None = None,
        *,
        prefix_bytes: int | None = None,
    ) -> None:
        """stored: keys and values to take from a file instead of computing them. prefix_bytes: of the cached ones."""
        self._session = session
        self._prefixes = PrefixCache(shape, stored, prefix_bytes)

    def rows(self, pairs: Sequence[EncodedPair]) -> list[Row]:
        """If a query has enough documents, the prefix of its rows is instruction and query, else the instruction."""
        prefixes: list[Prefix] = [(pair.instruction, pair.query) for pair in pairs]
        documents = Counter(prefixes)
        rows = []
        for pair, prefix in zip(pairs, prefixes, strict=True):
            sequence = pair.document
            if (documents[prefix] - 1) * len(pair.query) <= RUN_TOKENS:
                prefix, sequence = (pair.instruction,), pair.query + sequence
            rows.append(Row(prefix=prefix, sequence=sequence, second_start=len(sequence)))
        return rows

    @property
    def round_tokens(self) -> int:
        return PACK_TOKENS * self._session.cores

    def pack(self, rows: Sequence[Row], pack_tokens: int | None) -> list[Pack]:
        """Divide rows into batches, each behind one prefix."""
        by_prefix: dict[Prefix, list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            by_prefix[row.prefix].append(i)
        packs: list[Pack] = []
        for prefix, chosen in by_prefix.items():
            packs += self._packs(prefix, chosen, [rows[i].sequence for i in chosen], pack_tokens)
        return packs

    def _packs(
        self, prefix: Prefix, rows: Sequence[int], sequences: Sequence[Sequence[int]], pack_tokens: int | None
    ) -> list[Pack]:
        lengths = [len(ids) for ids in sequences]
        budget = pack_tokens or token_budget(lengths, PACK_TOKENS, self._session.cores)
        return [
            Pack(
                rows=tuple(rows[i] for i in chosen),
                prefix=prefix,
                sequences=tuple(sequences[i] for i in chosen),
                second_starts=tuple(len(sequences[i]) for i in chosen),
            )
            for chosen in padded_batches(lengths, budget)
        ]

    def close(self) -> None:
        self._session.close()
        self._prefixes.forget()

    def run_each(self, packs: Sequence[Pack]) -> Iterator[tuple[Pack, Floats]]:
        for prefix, group in groupby(packs, key=lambda pack: pack.prefix):
            together = list(group)
            sizes = [pack.tokens for pack in together]
            past = self._prefixes.past(prefix, self._session.before(sizes))
            runner = self._session.runner(sizes)
            feeds = ({**prefix_feeds(pack.sequences), **past} for pack in together)
            for pack, (logits,) in zip(together, runner.run_each(["logits"], feeds), strict=True):
                yield pack, logits
