"""LangChain: a document compressor, the base class of rerankers there."""

from collections.abc import Sequence

from onnxrank.errors import BackendError
from onnxrank.integrations.ranking import Model, rank

try:
    from langchain_core.callbacks import Callbacks
    from langchain_core.documents import BaseDocumentCompressor, Document
    from pydantic import ConfigDict
except ImportError as error:
    raise BackendError(
        "onnxrank.integrations.langchain needs langchain-core, which is not installed: "
        "`pip install onnxrank[langchain]`."
    ) from error


class OnnxrankCompressor(BaseDocumentCompressor):
    """Keeps the best documents for a query, best first, each with its score as the metadata `relevance_score`.

    model: a Reranker or LateInteraction. top_n: how many documents to keep; all by default. instruction: what counts as
    relevant, in a sentence; the model's default if left out.
    """

    model: Model
    top_n: int | None = None
    instruction: str | None = None
    model_config = ConfigDict(arbitrary_types_allowed=True)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Return new documents; those that were given stay as they are. Raises InputError for a bad query or option."""
        texts = [document.page_content for document in documents]
        hits = rank(self.model, query, texts, top_k=self.top_n, instruction=self.instruction)
        return [
            documents[hit.index].model_copy(
                update={"metadata": {**documents[hit.index].metadata, "relevance_score": hit.score}}
            )
            for hit in hits
        ]
