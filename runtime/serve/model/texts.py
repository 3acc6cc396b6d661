"""Models that embed texts one by one: late interaction, embedders."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from onnxrank.artifact.manifest import Variant
from onnxrank.artifact.opening import Artifact
from onnxrank.engine.device import Device
from onnxrank.engine.text_scorer import TextScorer, Vectors
from onnxrank.serve.model.work import Reading, Result, Unit, Work, accept, cut_of, key_of, readable, slices
from onnxrank.serve.requests import EmbedRequest, ScoreRequest, Window
from onnxrank.text.documents import check_text
from onnxrank.text.prompt import EncodedText, TextEncoder

# Queries whose vectors are kept: of 128 tokens with 128 numbers each, they take 4 MB.
QUERIES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRow:
    """A text to embed. token_ids: in 4 bytes each. query: what the text is compared with; None if its vector is asked
    for."""

    token_ids: "array[int]"
    attended: int
    query: EncodedText | None


class ServedTexts:
    """Encodes with `TextEncoder` and runs `TextScorer`, as `LateInteraction` and `Embedder` do."""

    def __init__(self, artifact: Artifact, variant: Variant, *, device: Device) -> None:
        self._weights = artifact.identity(variant)
        self._encoder = TextEncoder.of(artifact)
        self.scorer = TextScorer(artifact, variant, device=device)
        self._query_vectors = lru_cache(maxsize=QUERIES)(self._embed_query)

    def read_scores(self, request: ScoreRequest) -> Reading:
        """Tokenize queries and documents that are compared by their vectors; see `Model`."""
        work, cut = Work(items=len(request.pairs), place="documents"), cut_of(request)
        queries: dict[str, EncodedText] = {}
        for piece in slices([document for _, document in request.pairs]):
            items = readable(request, piece, work)
            documents = [request.pairs[item][1] for item in items]
            if request.long_documents == "chunk":
                encoded = self._encoder.windows(documents, cut=cut)
            else:
                encoded = [[text] for text in self._encoder.texts(documents, is_query=False, cut=cut)]
            for item, found in zip(items, encoded, strict=True):
                query = self._query(request.pairs[item][0], request.instruction, queries, work)
                for window, text in accept(work, item, found, request):
                    work.units.append(self._unit(item, text, query=query, window=window))
            yield
        work.units.sort(key=lambda unit: -unit.cost)
        return work

    def read_texts(self, request: EmbedRequest) -> Reading:
        """Tokenize texts whose vectors are asked for; see `Model`."""
        work = Work(items=len(request.texts), place="texts")
        for piece in slices(request.texts):
            texts = [request.texts[item] for item in piece]
            for item, text in zip(piece, texts, strict=True):
                check_text(text, f"texts[{item}]")
            encoded = self._encoder.texts(texts, is_query=request.is_query, instruction=request.instruction)
            for item, found in zip(piece, encoded, strict=True):
                work.tokens += len(found.token_ids)
                if found.truncated:
                    work.truncated.append(item)
                work.units.append(self._unit(item, found))
            yield
        work.units.sort(key=lambda unit: -unit.cost)
        return work

    def run(self, units: Sequence[Unit[TextRow]]) -> list[Result]:
        """Return each text's similarity to its query, or its vector, float32 `[dim]`, if it has none."""
        texts = [EncodedText(token_ids=tuple(unit.row.token_ids), attended=unit.row.attended) for unit in units]
        # Texts with a query are documents; those without have one vector, which the side does not matter for.
        vectors = self.scorer.embed(texts, is_query=False)
        return [
            found if unit.row.query is None else self._similarity(unit.row.query, found)
            for unit, found in zip(units, vectors, strict=True)
        ]

    def close(self) -> None:
        """Free the weights and threads."""
        self.scorer.close()

    def _query(self, text: str, instruction: str | None, known: dict[str, EncodedText], work: Work) -> EncodedText:
        """Return an encoded query; its tokens count once in a request."""
        if text not in known:
            (known[text],) = self._encoder.texts([text], is_query=True, instruction=instruction)
            work.tokens += len(known[text].token_ids)
        return known[text]

    def _unit(
        self, item: int, text: EncodedText, *, query: EncodedText | None = None, window: Window | None = None
    ) -> Unit[TextRow]:
        parts = [part for read in (text, query) if read for part in ([read.attended], read.token_ids)]
        row = TextRow(token_ids=array("i", text.token_ids), attended=text.attended, query=query)
        key = key_of(self._weights, *(array("i", part).tobytes() for part in parts))
        return Unit(item=item, key=key, cost=len(text.token_ids), row=row, window=window)

    def _similarity(self, query: EncodedText, document: Vectors) -> np.float32:
        found: np.float32 = self.scorer.similarities(self._query_vectors(query), [document])[0]
        return found

    def _embed_query(self, query: EncodedText) -> Vectors:
        # Alone, as `LateInteraction.rank` does: what expansion tokens become may depend on the length of the row.
        (vectors,) = self.scorer.embed([query], is_query=True)
        return vectors
