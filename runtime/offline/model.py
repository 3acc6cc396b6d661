"""`PairModel`: one way to score pairs for rerankers and for late interaction, as `onnxrank score`, Ray and Spark do."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Activation
from onnxrank.artifact.opening import Artifact, open_artifact
from onnxrank.errors import InputError
from onnxrank.late_interaction import LateInteraction
from onnxrank.reranker import Reranker
from onnxrank.text.documents import Document, texts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """variant, layers, dim, max_length, revision: those of `Reranker`. instruction, activation: those of
    `Reranker.predict`. Late interaction takes variant and revision only."""

    variant: str | None = None
    layers: int | None = None
    dim: int | None = None
    max_length: int | None = None
    revision: str | None = None
    instruction: str | None = None
    activation: Activation | None = None


class PairModel:
    """An open artifact with the options of its scores. Safe to share between threads, to pickle and to fork."""

    def __init__(
        self, artifact: str | Path | Artifact, options: ModelOptions | None = None, *, threads: int | None = None
    ) -> None:
        """threads: CPU cores to use; all physical ones by default.

        Raises ArtifactError, HubError, InputError or BackendError.
        """
        options = options or ModelOptions()
        opened = open_artifact(artifact, revision=options.revision)
        variant, files = opened.variant(options.variant)
        self.name, self.options, self.variant = opened.manifest.name, options, variant
        # A hash of the graphs and weights.
        self.identity = opened.identity(files)
        self._model: Reranker | LateInteraction
        self._template = None
        if opened.manifest.scoring.late_interaction:
            _refuse_pair_options(opened, options)
            self._model = LateInteraction(opened, variant=variant, threads=threads)
        else:
            self._model = Reranker(
                opened,
                variant=variant,
                layers=options.layers,
                dim=options.dim,
                max_length=options.max_length,
                threads=threads,
            )
            self._template = self._model.document_template

    def text(self, document: Document) -> str:
        """Return a document's text. Raises InputError if it is neither a text nor fields that the model has a template
        for."""
        (text,) = texts_of([document], self._template, "documents")
        return text

    def score(self, pairs: Sequence[tuple[str, str]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the scores of (query, document) pairs, float32 [n], and which documents were cut, bool [n].

        Instruction and query are computed once for all documents of a query, in whatever order the pairs are. Raises
        InputError for a query that leaves no room for a document.
        """
        if isinstance(self._model, Reranker):
            found = self._model.score(
                pairs,
                instruction=self.options.instruction,
                activation=self.options.activation,
                show_progress_bar=False,
            )
            return found.scores, found.truncated
        scores, truncated = np.empty(len(pairs), np.float32), np.empty(len(pairs), np.bool_)
        by_query: dict[str, list[int]] = defaultdict(list)
        for i, (query, _) in enumerate(pairs):
            by_query[query].append(i)
        for query, rows in by_query.items():
            for hit in self._model.rank(query, [pairs[i][1] for i in rows], show_progress_bar=False):
                row = rows[hit["corpus_id"]]
                scores[row], truncated[row] = hit["score"], hit["truncated"]
        return scores, truncated


def _refuse_pair_options(artifact: Artifact, options: ModelOptions) -> None:
    for name in ("layers", "dim", "max_length", "instruction", "activation"):
        if getattr(options, name) is not None:
            raise InputError(f"{artifact.folder} is a late-interaction model, which takes no {name}; leave it out.")
