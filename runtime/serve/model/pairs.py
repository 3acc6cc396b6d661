"""Models that read a query and a document together: rerankers."""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from onnxrank.artifact.manifest import Variant
from onnxrank.artifact.opening import Artifact
from onnxrank.engine.device import Device
from onnxrank.engine.pack import Prefix, Row
from onnxrank.engine.pair_scorer import PairScorer
from onnxrank.errors import InputError
from onnxrank.serve.model.work import Reading, Result, Unit, Work, accept, cut_of, key_of, readable, slices
from onnxrank.serve.requests import ScoreRequest, Window
from onnxrank.text.prompt import EncodedPair, PromptEncoder


class ServedPairs:
    """Encodes with `PromptEncoder` and runs `PairScorer`, as `Reranker` does."""

    def __init__(
        self, artifact: Artifact, variant: Variant, *, device: Device, max_length: int, prefix_bytes: int
    ) -> None:
        """prefix_bytes: memory for the keys and values of computed prefixes."""
        prompt = artifact.manifest.scoring.prompt
        assert prompt
        self._weights = artifact.identity(variant)
        self._max_length = max_length
        self._encoder = PromptEncoder(artifact.tokenizer, prompt, max_length)
        self.scorer = PairScorer(artifact, variant, device=device, prefix_bytes=prefix_bytes)

    def read_scores(self, request: ScoreRequest) -> Reading:
        """See `Model`."""
        work = Work(items=len(request.pairs), place="documents")
        prefixes: dict[Prefix, Prefix] = {}
        for piece in slices([document for _, document in request.pairs]):
            found = list(self._encode(request, piece, work))
            rows = self.scorer.rows([pair for _, _, pair in found])
            for (item, window, pair), row in zip(found, rows, strict=True):
                work.units.append(
                    Unit(
                        item=item,
                        key=key_of(self._weights, _bytes(pair.token_ids), _bytes([pair.document_start])),
                        cost=len(row.sequence),
                        row=_compact(row, prefixes),
                        window=window,
                    )
                )
            yield
        order = {prefix: i for i, prefix in enumerate(prefixes)}
        work.units.sort(key=lambda unit: (order[unit.row.prefix], -unit.cost))
        return work

    def _encode(
        self, request: ScoreRequest, piece: range, work: Work
    ) -> Iterator[tuple[int, Window | None, EncodedPair]]:
        """Yield the prompts of a piece's items, or of their windows."""
        cut = cut_of(request)
        by_query: dict[str, list[int]] = defaultdict(list)
        for item in readable(request, piece, work):
            by_query[request.pairs[item][0]].append(item)
        for query, items in by_query.items():
            documents = [request.pairs[item][1] for item in items]
            if request.long_documents == "chunk":
                encoded = self._encoder.windows(query, documents, request.instruction, special_tokens=False, cut=cut)
            else:
                pairs = self._encoder.pairs(query, documents, request.instruction, special_tokens=False, cut=cut)
                encoded = [[pair] for pair in pairs]
            for item, found in zip(items, encoded, strict=True):
                if found[0].lost:
                    raise InputError(
                        f"the query {query!r:.60} leaves no room for the document: the prompt has {self._max_length} "
                        "tokens; shorten the query."
                    )
                for window, pair in accept(work, item, found, request):
                    yield item, window, pair

    def run(self, units: Sequence[Unit[Row]]) -> list[Result]:
        """Return the logits; of a matryoshka model, those of the widest column."""
        logits = np.empty(len(units), np.float32)
        for pack, found in self.scorer.run_each(self.scorer.pack([unit.row for unit in units])):
            logits[list(pack.rows)] = found[:, 0]
        return list(logits)

    def close(self) -> None:
        """Free the weights, threads and cached prefixes."""
        self.scorer.close()


def _bytes(numbers: Sequence[int]) -> bytes:
    return array("i", numbers).tobytes()


def _compact(row: Row, prefixes: dict[Prefix, Prefix]) -> Row:
    """Return a row for the queue: its ids take 4 bytes each instead of 36, and rows with the same prefix share it."""
    return replace(row, prefix=prefixes.setdefault(row.prefix, row.prefix), sequence=array("i", row.sequence))
