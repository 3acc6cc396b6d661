"""LlamaIndex: a node postprocessor, the base class of rerankers there."""

from onnxrank.errors import BackendError, InputError
from onnxrank.integrations.ranking import Model, rank

try:
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
except ImportError as error:
    raise BackendError(
        "onnxrank.integrations.llama_index needs llama-index-core, which is not installed: "
        "`pip install onnxrank[llama-index]`."
    ) from error


class OnnxrankPostprocessor(BaseNodePostprocessor):
    """Keeps the best nodes for a query, best first, with the reranker's scores.

    model: a Reranker or LateInteraction. It reads what LlamaIndex's own rerankers read: a node's text with the metadata
    that is not excluded from embeddings. top_n: how many nodes to keep; all by default. instruction: what counts as
    relevant, in a sentence; the model's default if left out.
    """

    model: Model
    top_n: int | None = None
    instruction: str | None = None

    @classmethod
    def class_name(cls) -> str:
        return "OnnxrankPostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise InputError("the query is missing; give query_bundle or query_str.")
        texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
        hits = rank(self.model, query_bundle.query_str, texts, top_k=self.top_n, instruction=self.instruction)
        return [NodeWithScore(node=nodes[hit.index].node, score=hit.score) for hit in hits]
