"""Haystack: a ranker component, which a pipeline can write to YAML."""

from dataclasses import replace

from onnxrank.artifact.opening import open_artifact
from onnxrank.errors import BackendError
from onnxrank.integrations.ranking import Model, rank
from onnxrank.late_interaction import LateInteraction
from onnxrank.reranker import Reranker

try:
    from haystack import Document, component
except ImportError as error:
    raise BackendError(
        "onnxrank.integrations.haystack needs haystack-ai, which is not installed: `pip install onnxrank[haystack]`."
    ) from error


@component
class OnnxrankRanker:
    """Returns the best documents for a query, best first, with the reranker's scores."""

    def __init__(
        self,
        artifact: str,
        variant: str | None = None,
        top_k: int | None = None,
        instruction: str | None = None,
        threads: int | None = None,
        revision: str | None = None,
    ) -> None:
        """artifact, variant, threads, revision: those of `Reranker` or `LateInteraction`, whichever the artifact is
        for; it is opened by `warm_up` or the first run. top_k: how many documents to return; all by default.
        instruction: what counts as relevant, in a sentence; the model's default if left out.
        """
        self.artifact = artifact
        self.variant = variant
        self.top_k = top_k
        self.instruction = instruction
        self.threads = threads
        self.revision = revision
        self._model: Model | None = None

    def warm_up(self) -> None:
        """Open the artifact. Raises ArtifactError, HubError, InputError or BackendError."""
        self._opened()

    @component.output_types(documents=list[Document])
    def run(self, query: str, documents: list[Document], top_k: int | None = None) -> dict[str, list[Document]]:
        """Return new documents under `documents`. A document without `content` ranks as an empty text."""
        texts = [document.content or "" for document in documents]
        wanted = self.top_k if top_k is None else top_k
        hits = rank(self._opened(), query, texts, top_k=wanted, instruction=self.instruction)
        return {"documents": [replace(documents[hit.index], score=hit.score) for hit in hits]}

    def _opened(self) -> Model:
        if self._model is None:
            opened = open_artifact(self.artifact, revision=self.revision)
            late = opened.manifest.scoring.late_interaction
            self._model = (LateInteraction if late else Reranker)(opened, variant=self.variant, threads=self.threads)
        return self._model
