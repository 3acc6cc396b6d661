"""`PairScorer`: logits of encoded pairs, by the graph that suits the device. All that scores pairs calls it: Reranker,
the proof, the device check.

A request is planned into packs, each of which one run of the session scores. A document's score does not depend on the
others in its pack, so packs of several requests may run in any order, and some may never run.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import KeyValueCache, Scoring, Variant
from onnxrank.artifact.opening import Artifact
from onnxrank.engine.batching import RUN_TOKENS, padded_batches, token_budget
from onnxrank.engine.device import Device
from onnxrank.engine.padded import padded_plan, read_vocabulary, run_padded
from onnxrank.engine.prefix import Prefix, PrefixCache, prefix_feeds
from onnxrank.engine.session import Session
from onnxrank.text.prompt import EncodedPair, TokenIds

# What a core takes at once: smaller packs read the weights more often, larger ones leave cores idle at the end.
PACK_TOKENS = 128

Floats = NDArray[np.float32]
Done = Callable[[int], None]
Graph = Literal["padded", "prefix"]
Side = Literal["right", "left"]


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


class PairScorer:
    """One exit of one variant on one device. Safe to share between threads, to pickle and to fork."""

    def __init__(
        self,
        artifact: Artifact,
        variant: Variant,
        *,
        layers: int | None = None,
        device: Device,
        graph: Graph | None = None,
        padding: Side = "right",
    ) -> None:
        """Check the files' hashes; the weights are loaded at the first run.

        layers: the exit, the deepest by default. graph: the prefix graph on CPUs where there is one, else the padded
        one. padding: where the padded graph's rows are filled up. Raises ArtifactError or HubError.
        """
        artifact.fetch(*variant.files)
        scoring = artifact.manifest.scoring
        self.columns = len(scoring.matryoshka.dims) if scoring.matryoshka else 1
        if graph is None:
            graph = "prefix" if device.on_cpu and variant.prefix else "padded"
        self._graph: _PrefixGraph | _PaddedGraph
        if graph == "prefix":
            assert variant.prefix and scoring.kv_cache
            requantize = artifact.folder / variant.requantize if variant.requantize else None
            session = Session(artifact.folder / variant.prefix, device, requantize=requantize)
            self._graph = _PrefixGraph(session, scoring.kv_cache)
        else:
            session = Session(artifact.folder / variant.exit(layers), device)
            self._graph = _PaddedGraph(session, scoring, pad_left=padding == "left")

    def plan(self, pairs: Sequence[EncodedPair], *, pack_tokens: int | None = None) -> list[Pack]:
        """Divide a request into packs.

        pack_tokens: of a pack; by default, as keeps all cores busy. Packs of the same prefix follow each other.
        """
        return self._graph.plan(pairs, pack_tokens)

    def run(self, pack: Pack) -> Floats:
        """Return the logits of a pack, float32 `[len(pack.rows), columns]`."""
        ((_, logits),) = self.run_each([pack])
        return logits

    def run_each(self, packs: Sequence[Pack]) -> Iterator[tuple[Pack, Floats]]:
        """Yield each pack with its logits, in order; several at a time where the device has several cores."""
        return self._graph.run_each(packs)

    def score(
        self, pairs: Sequence[EncodedPair], *, pack_tokens: int | None = None, done: Done = lambda count: None
    ) -> Floats:
        """Return the logits of pairs, float32 `[len(pairs), columns]`, in input order; `done(n)` after each n pairs.

        columns: the widths of a matryoshka model, widest first; 1 for others.
        """
        logits = np.empty((len(pairs), self.columns), np.float32)
        for pack, found in self.run_each(self.plan(pairs, pack_tokens=pack_tokens)):
            logits[list(pack.rows)] = found
            done(len(pack.rows))
        return logits


class _PaddedGraph:
    """Whole prompts."""

    def __init__(self, session: Session, scoring: Scoring, *, pad_left: bool) -> None:
        self._session = session
        self._pad_token_id = scoring.pad_token_id
        self._readout = scoring.readout
        self._pad_left = pad_left

    def plan(self, pairs: Sequence[EncodedPair], pack_tokens: int | None) -> list[Pack]:
        prompts = [pair.token_ids for pair in pairs]
        return [
            Pack(
                rows=tuple(rows),
                prefix=(),
                sequences=tuple(prompts[i] for i in rows),
                second_starts=tuple(pairs[i].document_start for i in rows),
            )
            for rows in padded_plan(self._session, prompts, pack_tokens)
        ]

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


class _PrefixGraph:
    """Documents behind a cached prefix."""

    def __init__(self, session: Session, shape: KeyValueCache) -> None:
        self._session = session
        self._prefixes = PrefixCache(session, shape)

    def plan(self, pairs: Sequence[EncodedPair], pack_tokens: int | None) -> list[Pack]:
        """A query with enough documents is a prefix of its own, behind the instruction; other pairs share packs behind
        the instruction."""
        by_query: dict[Prefix, list[int]] = defaultdict(list)
        for i, pair in enumerate(pairs):
            by_query[pair.instruction, pair.query].append(i)
        behind_query: list[tuple[Prefix, list[int]]] = []
        behind_instruction: dict[Prefix, list[int]] = defaultdict(list)
        for (instruction, query), rows in by_query.items():
            if (len(rows) - 1) * len(query) <= RUN_TOKENS:
                behind_instruction[instruction,].extend(rows)
            else:
                behind_query.append(((instruction, query), rows))
        packs: list[Pack] = []
        for prefix, rows in behind_query:
            packs += self._packs(prefix, rows, [pairs[i].document for i in rows], pack_tokens)
        for prefix, rows in behind_instruction.items():
            packs += self._packs(prefix, rows, [pairs[i].query + pairs[i].document for i in rows], pack_tokens)
        return packs

    def _packs(
        self, prefix: Prefix, rows: Sequence[int], sequences: Sequence[TokenIds], pack_tokens: int | None
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

    def run_each(self, packs: Sequence[Pack]) -> Iterator[tuple[Pack, Floats]]:
        for prefix, group in groupby(packs, key=lambda pack: pack.prefix):
            together = list(group)
            past = self._prefixes.past(prefix)
            runner = self._session.runner([pack.tokens for pack in together])
            feeds = ({**prefix_feeds(pack.sequences), **past} for pack in together)
            for pack, (logits,) in zip(together, runner.run_each(["logits"], feeds), strict=True):
                yield pack, logits
