"""`Embedder`: one vector per text, for the retrieval that comes before reranking."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onnxrank.loading import check_texts, load
from onnxrank.manifest import Manifest
from onnxrank.portable import embed
from onnxrank.progress import progress
from onnxrank.prompt import EncodedText, TextEncoder
from onnxrank.session import CPU, Provider

Done = Callable[[int], None]


class TextModel:
    """What models that embed texts one by one share: loading, encoding, running."""

    _opener: ClassVar[str]

    def __init__(
        self,
        source: str | Path,
        *,
        variant: str | None = None,
        providers: Sequence[Provider] = (CPU,),
        threads: int | None = None,
        revision: str | None = None,
    ) -> None:
        """Open an artifact; the arguments are those of `Reranker`.

        Raises ArtifactError, HubError, InputError or BackendError.
        """
        loaded = load(source, self._opener, variant=variant, providers=providers, threads=threads, revision=revision)
        self.manifest: Manifest = loaded.manifest
        self.variant = loaded.name
        scoring = loaded.scoring
        assert scoring.texts
        late = scoring.late_interaction
        self._encoder = TextEncoder(loaded.tokenizer, scoring.texts, late.expansion if late else None)
        self._session = loaded.session(loaded.variant.portable)

    def _encode(
        self, texts: Sequence[str], is_query: bool, instruction: str | None, special_tokens: bool
    ) -> list[EncodedText]:
        check_texts(texts, "texts")
        return self._encoder.texts(texts, is_query=is_query, instruction=instruction, special_tokens=special_tokens)

    def _embed(self, encoded: Sequence[EncodedText], per_token: bool, done: Done) -> list[NDArray[np.float32]]:
        return embed(
            self._session,
            [text.token_ids for text in encoded],
            attended=[text.attended for text in encoded],
            per_token=per_token,
            pad_token_id=self.manifest.scoring.pad_token_id,
            done=done,
        )


class Embedder(TextModel):
    """Embeds texts into L2-normalised vectors. Safe to share between threads, to pickle and to fork."""

    _opener = "Embedder"

    def encode(
        self,
        texts: Sequence[str],
        *,
        is_query: bool,
        instruction: str | None = None,
        special_tokens: bool = False,
        show_progress_bar: bool | None = None,
    ) -> NDArray[np.float32]:
        """Return the vectors of texts, float32 `[len(texts), dim]`: their dot product is the cosine similarity.

        instruction: what counts as relevant, for queries; the model's default if left out.
        Raises InputError for texts that are not strings.
        """
        encoded = self._encode(texts, is_query, instruction, special_tokens)
        with progress("embedding", len(encoded), show_progress_bar) as done:
            vectors = self._embed(encoded, False, done)
        return np.stack(vectors) if vectors else np.empty((0, self._dim()), np.float32)

    def _dim(self) -> int:
        (dim,) = self._session.runner([]).output_shape("embeddings")[1:]
        return int(dim)
