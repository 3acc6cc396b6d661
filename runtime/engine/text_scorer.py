"""`TextScorer`: embeds texts one by one, and computes similarities between their vectors. Embedder, LateInteraction,
the proof and the device check call it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Variant
from onnxrank.artifact.opening import Artifact
from onnxrank.engine.device import Device
from onnxrank.engine.maxsim import maxsim
from onnxrank.engine.padded import PaddingSide, padded_plan, round_tokens, run_padded
from onnxrank.engine.session import Session
from onnxrank.progress import Done
from onnxrank.text.prompt import EncodedText

Vectors = NDArray[np.float32]


class TextScorer:
    """One variant on one device. Safe to share between threads, to pickle and to fork."""

    def __init__(self, artifact: Artifact, variant: Variant, *, device: Device, padding: PaddingSide = "right") -> None:
        """Check the files' hashes; the weights are loaded at the first run. Raises ArtifactError or HubError."""
        artifact.fetch(*variant.files)
        scoring = artifact.manifest.scoring
        self._session = Session(artifact.folder / variant.padded, device, weights=artifact.identity(variant))
        self._token_vectors = scoring.late_interaction
        self._pad_token_id = scoring.pad_token_id
        self._pad_left = padding == "left"

    def embed(
        self,
        texts: Sequence[EncodedText],
        *,
        is_query: bool,
        batch_tokens: int | None = None,
        done: Done = lambda count: None,
    ) -> list[Vectors]:
        """Return a float32 vector `[dim]` for each text, or `[tokens, dim]` if the model computes one per token, in
        input order; calls `done(n)` after each n texts.

        Documents have no vectors for tokens on the skip list.
        """
        vectors: list[Vectors] = [np.empty(0, np.float32)] * len(texts)
        batches = padded_plan(self._session, [text.token_ids for text in texts], batch_tokens)
        outputs = run_padded(
            self._session,
            "token_embeddings" if self._token_vectors else "embeddings",
            [[texts[i].token_ids for i in rows] for rows in batches],
            attended=[[texts[i].attended for i in rows] for rows in batches],
            pad_token_id=self._pad_token_id,
            pad_left=self._pad_left,
        )
        for rows, (output, tokens) in zip(batches, outputs, strict=True):
            for row, i in enumerate(rows):
                found = output[row]
                if self._token_vectors:
                    found = found[tokens[row]]
                    if not is_query:
                        found = found[~np.isin(texts[i].token_ids, self._token_vectors.skip_token_ids)]
                vectors[i] = found
            done(len(rows))
        return vectors

    def similarities(self, query: Vectors, documents: Sequence[Vectors]) -> Vectors:
        """Return the scores of documents, float32 `[len(documents)]`: MaxSim of token vectors, else cosine, which is
        the MaxSim of single vectors."""
        return maxsim(query, documents)

    def close(self) -> None:
        """Free the weights and threads; the next run makes them again."""
        self._session.close()

    @property
    def round_tokens(self) -> int:
        """How many tokens at a time keep all cores busy."""
        return round_tokens(self._session)

    @property
    def dim(self) -> int:
        """The length of a vector."""
        *_, dim = self._session.before([]).output_shape("token_embeddings" if self._token_vectors else "embeddings")
        return int(dim)
