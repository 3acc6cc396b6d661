"""`LateInteraction`: a vector per token, compared by MaxSim; `encode` returns what PyLate's `encode` returns."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.progress import progress
from onnxrank.ranking import check_top_k, ranked
from onnxrank.text.documents import list_of_texts
from onnxrank.text_model import TextModel

# Documents whose vectors are in memory at the same time while ranking.
CHUNK = 256


class LateInteraction(TextModel):
    """Embeds every token of a text."""

    _opener = "LateInteraction"

    def encode(
        self,
        texts: Iterable[str],
        *,
        is_query: bool,
        special_tokens: bool = False,
        show_progress_bar: bool | None = None,
    ) -> list[NDArray[np.float32]]:
        """Return each text's L2-normalised vectors, float32 `[tokens, dim]`, in input order.

        Queries have a vector for every token and expansion token, documents for every token not on the skip list.
        Raises InputError for texts that are not strings.
        """
        encoded = self._encode(texts, is_query, None, special_tokens)
        with progress("embedding", len(encoded), show_progress_bar) as done:
            return self._scorer.embed(encoded, is_query=is_query, done=done)

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        top_k: int | None = None,
        return_documents: bool = False,
        special_tokens: bool = False,
        show_progress_bar: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Return documents by descending MaxSim score, as dicts with `corpus_id`, `score`, `truncated`
        (whether its end was cut to fit) and, with `return_documents`, `text`. Equal scores keep their input order.

        To score documents that are already embedded, use `onnxrank.maxsim`.
        """
        check_top_k(top_k)
        texts = list_of_texts(documents, "documents")
        (query_vectors,) = self.encode([query], is_query=True, special_tokens=special_tokens)
        encoded = self._encode(texts, False, None, special_tokens)
        scores = np.empty(len(encoded), np.float32)
        with progress("scoring", len(encoded), show_progress_bar) as done:
            for start in range(0, len(encoded), CHUNK):
                chunk = slice(start, start + CHUNK)
                vectors = self._scorer.embed(encoded[chunk], is_query=False, done=done)
                scores[chunk] = self._scorer.similarities(query_vectors, vectors)
        cut = [text.truncated for text in encoded]
        return ranked(scores, scores, cut, texts if return_documents else None, top_k)
