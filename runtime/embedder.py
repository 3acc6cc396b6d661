"""`Embedder`: one vector per text, for retrieval before reranking."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from onnxrank.progress import Done, progress
from onnxrank.text_model import TextModel


class Embedder(TextModel):
    """Embeds texts into L2-normalised vectors."""

    _opener = "Embedder"

    def encode(
        self,
        texts: Iterable[str],
        *,
        is_query: bool,
        instruction: str | None = None,
        special_tokens: bool = False,
        show_progress_bar: bool | None = None,
        done: Done | None = None,
    ) -> NDArray[np.float32]:
        """Return the vectors of texts, float32 `[len(texts), dim]`: their dot product is the cosine similarity.

        instruction: what counts as relevant, for queries; the model's default if left out.
        done: called with how many more texts are embedded, instead of a progress bar.
        Raises InputError for texts that are not strings.
        """
        encoded = self._encode(texts, is_query, instruction, special_tokens)
        with progress("embedding", len(encoded), show_progress_bar if done is None else False) as bar:
            vectors = self._scorer.embed(encoded, is_query=is_query, done=done or bar)
        return np.stack(vectors) if vectors else np.empty((0, self._scorer.dim), np.float32)
