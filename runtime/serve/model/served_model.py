"""`ServedModel`: one opened artifact, of any kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.golden import read_golden
from onnxrank.artifact.manifest import Manifest
from onnxrank.artifact.opening import TOKENIZER, Artifact, open_artifact
from onnxrank.engine.activation import activate
from onnxrank.engine.device import Device
from onnxrank.errors import ArtifactError, InputError
from onnxrank.serve.model.pairs import ServedPairs
from onnxrank.serve.model.self_check import recorded
from onnxrank.serve.model.texts import ServedTexts
from onnxrank.serve.model.work import Reading, Result, Unit, read_all
from onnxrank.serve.requests import EmbedRequest, ScoreRequest

Kind = Literal["reranker", "late-interaction", "embedder"]

_KINDS: dict[str, Kind] = {"Reranker": "reranker", "LateInteraction": "late-interaction", "Embedder": "embedder"}
# For the keys and values of instructions and queries, which later requests use again: 2,300 tokens of them for
# Qwen3-Reranker-0.6B.
PREFIX_BYTES = 512 << 20


class ServedModel:
    """Reads requests into units of work and runs units, of several requests at a time. It scores as `Reranker`,
    `LateInteraction` and `Embedder` do, through the same encoders and scorers. Safe to share between threads."""

    def __init__(
        self,
        source: str | Path | Artifact,
        *,
        name: str | None = None,
        variant: str | None = None,
        threads: int | None = None,
    ) -> None:
        """Open an artifact for the CPU; ONNX Runtime loads the weights in `check`.

        name: what clients call it; the artifact's own name by default. The other arguments are those of `Reranker`.
        Raises ArtifactError, HubError, InputError or BackendError.
        """
        runs_on = Device.of(None, None, threads, "normal")
        artifact = open_artifact(source)
        artifact.fetch(TOKENIZER)
        self._artifact = artifact
        self.manifest: Manifest = artifact.manifest
        self.name = name or self.manifest.name
        self.variant, files = artifact.variant(variant)
        self.identity = artifact.identity(files)
        scoring = self.manifest.scoring
        self.cores = runs_on.cores
        self.kind: Kind = _KINDS[scoring.opened_with]
        self.max_length = scoring.max_length
        self._model: ServedPairs | ServedTexts
        if scoring.prompt:
            self._model = ServedPairs(
                artifact, files, device=runs_on, max_length=self.max_length, prefix_bytes=PREFIX_BYTES
            )
        else:
            self._model = ServedTexts(artifact, files, device=runs_on)

    @property
    def document_template(self) -> str | None:
        """How the fields of a structured document become its text; None if this model reads plain texts only."""
        prompt = self.manifest.scoring.prompt
        return prompt.document_template if prompt else None

    @property
    def round_tokens(self) -> int:
        """How many tokens at a time keep all cores busy."""
        return self._model.scorer.round_tokens

    def read_scores(self, request: ScoreRequest) -> Reading:
        """Tokenize pairs, a slice with each `next`. Raises InputError if they cannot be scored."""
        if self.kind == "embedder":
            raise InputError(f"{self.name} embeds texts and scores no pairs; ask for embeddings, or for another model.")
        return self._model.read_scores(request)

    def read_texts(self, request: EmbedRequest) -> Reading:
        """Tokenize texts, a slice with each `next`. Raises InputError if they cannot be embedded."""
        if self.kind != "embedder" or isinstance(self._model, ServedPairs):
            raise InputError(f"{self.name} scores pairs and embeds no texts; ask for scores, or for another model.")
        return self._model.read_texts(request)

    def run(self, units: Sequence[Unit[Any]]) -> Sequence[Result]:
        """Return each unit's logit, or vector, float32 `[dim]`. Raises BackendError if ONNX Runtime fails."""
        return self._model.run(units)

    def activate(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of logits, as the artifact's activation gives them."""
        scoring = self.manifest.scoring
        return activate(logits, scoring.activation, scoring.logit_scale)

    def check(self) -> None:
        """Load the weights, and score the pairs for which the artifact records what the export gave.

        Raises ArtifactError if this device gives something else.
        """
        graph = self._model.scorer.graph if isinstance(self._model, ServedPairs) else "padded"
        expected = recorded(self._artifact, self.variant, graph)
        if problem := expected.problem(self._logits(expected.pairs)):
            raise ArtifactError(
                f"{self.name} ({self.variant}) does not score here as it did at its export: {problem}; try another "
                "variant or release of ONNX Runtime, or export the artifact again."
            )

    def sample(self) -> Reading:
        """Tokenize the artifact's golden documents, which are of many lengths."""
        pairs = tuple((pair.query, pair.document) for pair in read_golden(self._artifact.folder).scored)
        if self.kind == "embedder":
            return self.read_texts(EmbedRequest(texts=tuple(document for _, document in pairs)))
        return self.read_scores(ScoreRequest(pairs=pairs))

    def close(self) -> None:
        """Free the weights and threads."""
        self._model.close()

    def _logits(self, pairs: tuple[tuple[str, str], ...]) -> NDArray[np.float32]:
        if self.kind != "embedder":
            return self._results(self.read_scores(ScoreRequest(pairs=pairs)))
        queries, documents = zip(*pairs, strict=True)
        sides = EmbedRequest(texts=queries, is_query=True), EmbedRequest(texts=documents)
        first, second = (self._results(self.read_texts(side)) for side in sides)
        cosines: NDArray[np.float32] = (first * second).sum(axis=1)
        return cosines

    def _results(self, reading: Reading) -> NDArray[np.float32]:
        """Return the results of a request in the order of its items."""
        units = sorted(read_all(reading).units, key=lambda unit: unit.item)
        return np.array(self.run(units), np.float32)
