"""`PairScorer`: computes the logits of encoded pairs with the graph that suits the device. Reranker, the proof and the
device check call it.

A request is divided into batches (`Pack`); one run of the session scores one of them. A document's score does not
depend on the others in its batch, so batches of several requests may run in any order, and some may never run.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Variant
from onnxrank.artifact.opening import Artifact
from onnxrank.engine.device import Device
from onnxrank.engine.pack import Pack, PairGraph, Row
from onnxrank.engine.padded import PaddedGraph, PaddingSide
from onnxrank.engine.past_file import PastFile
from onnxrank.engine.prefix import PrefixGraph
from onnxrank.engine.session import Session
from onnxrank.progress import Done
from onnxrank.text.prompt import EncodedPair

Floats = NDArray[np.float32]
GraphKind = Literal["padded", "prefix"]


class PairScorer:
    """One exit of one variant on one device. Safe to share between threads, to pickle and to fork."""

    def __init__(
        self,
        artifact: Artifact,
        variant: Variant,
        *,
        layers: int | None = None,
        device: Device,
        graph: GraphKind | None = None,
        padding: PaddingSide = "right",
        prefix_bytes: int | None = None,
    ) -> None:
        """Check the files' hashes; the weights are loaded at the first run.

        layers: the exit, the deepest by default. graph: by default the prefix graph on a CPU if the variant has one,
        else the padded graph. padding: the side on which the padded graph's rows are padded. prefix_bytes: memory for
        computed prefixes; by default that of a few. Raises ArtifactError or HubError.
        """
        artifact.fetch(*variant.files)
        scoring = artifact.manifest.scoring
        self.columns = len(scoring.matryoshka.dims) if scoring.matryoshka else 1
        if graph is None:
            graph = "prefix" if device.on_cpu and variant.prefix else "padded"
        self.graph = graph
        self._graph: PairGraph
        if graph == "prefix":
            assert variant.prefix and scoring.kv_cache
            requantize = artifact.folder / variant.requantize if variant.requantize else None
            session = Session(
                artifact.folder / variant.prefix, device, requantize=requantize, weights=artifact.identity(variant)
            )
            stored = PastFile.of(artifact, variant.past) if variant.past else None
            self._graph = PrefixGraph(session, scoring.kv_cache, stored, prefix_bytes=prefix_bytes)
        else:
            session = Session(artifact.folder / variant.exit(layers), device, weights=artifact.identity(variant))
            self._graph = PaddedGraph(session, scoring, pad_left=padding == "left")

    @property
    def round_tokens(self) -> int:
        """How many tokens at a time keep all cores busy."""
        return self._graph.round_tokens

    def plan(self, pairs: Sequence[EncodedPair], *, pack_tokens: int | None = None) -> list[Pack]:
        """Divide a request into batches.

        pack_tokens: tokens of a batch; by default chosen to keep all cores busy. Batches with the same prefix are
        adjacent.
        """
        return self.pack(self.rows(pairs), pack_tokens=pack_tokens)

    def rows(self, pairs: Sequence[EncodedPair]) -> list[Row]:
        """Return the pairs as the graph reads them: what several share is computed once."""
        return self._graph.rows(pairs)

    def pack(self, rows: Sequence[Row], *, pack_tokens: int | None = None) -> list[Pack]:
        """Divide rows, of one request or of several, into batches; `pack_tokens` as for `plan`."""
        return self._graph.pack(rows, pack_tokens)

    def run(self, pack: Pack) -> Floats:
        """Return the logits of a batch, float32 `[len(pack.rows), columns]`."""
        ((_, logits),) = self.run_each([pack])
        return logits

    def run_each(self, packs: Sequence[Pack]) -> Iterator[tuple[Pack, Floats]]:
        """Yield each batch with its logits, in order; several run at the same time if the device has several cores."""
        return self._graph.run_each(packs)

    def close(self) -> None:
        """Free the weights, threads and cached prefixes; the next run makes them again."""
        self._graph.close()

    def score(
        self, pairs: Sequence[EncodedPair], *, pack_tokens: int | None = None, done: Done = lambda count: None
    ) -> Floats:
        """Return the logits of pairs, float32 `[len(pairs), columns]`, in input order; call `done(n)` after n pairs.

        columns: one for each width of a matryoshka model, widest first; otherwise one.
        """
        logits = np.empty((len(pairs), self.columns), np.float32)
        for pack, found in self.run_each(self.plan(pairs, pack_tokens=pack_tokens)):
            logits[list(pack.rows)] = found
            done(len(pack.rows))
        return logits
