"""Each client's own call, and its own way to say an answer's parts."""

# mypy: disable-error-code="import-not-found, import-untyped"

from typing import Any

from haystack import Document as HaystackDocument
from haystack.utils import Secret
from haystack_integrations.components.rankers.cohere import CohereRanker
from infinity_client import AuthenticatedClient, Client
from infinity_client.api.default import rerank
from infinity_client.models import RerankInput
from langchain_cohere import CohereRerank
from langchain_community.document_compressors.infinity_rerank import InfinityRerank
from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank as LlamaCohere
from llama_index.postprocessor.jinaai_rerank import JinaRerank
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference
from llama_index.postprocessor.xinference_rerank import XinferenceRerank

from tests.clients.ranking import DOCUMENTS, QUERY, Hit, Rank

TEXTS = list(DOCUMENTS)


def infinity(address: str, key: str, top_n: int) -> list[Hit]:
    body = RerankInput(query=QUERY, documents=TEXTS, model="demo", top_n=top_n, return_documents=True)
    answer = rerank.sync(client=AuthenticatedClient(base_url=address, token=key), body=body)
    assert answer.model == "demo" and answer.object_.value == "rerank" and answer.id and answer.created
    assert answer.usage.total_tokens == answer.usage.prompt_tokens > len(TEXTS)
    return [Hit(hit.index, hit.relevance_score, hit.document) for hit in answer.results]


def langchain_cohere(address: str, key: str, top_n: int) -> list[Hit]:
    return _langchain_hits(CohereRerank(base_url=address, model="demo", cohere_api_key=key, top_n=top_n))


def langchain_infinity(address: str, key: str, top_n: int) -> list[Hit]:
    client = Client(base_url=address, headers={"Authorization": f"Bearer {key}"})
    return _langchain_hits(InfinityRerank(client=client, model="demo", top_n=top_n))


def _langchain_hits(compressor: Any) -> list[Hit]:
    documents = [Document(text, metadata={"index": i}) for i, text in enumerate(TEXTS)]
    found = compressor.compress_documents(documents, QUERY)
    return [Hit(one.metadata["index"], one.metadata["relevance_score"], one.page_content) for one in found]


def llama_cohere(address: str, key: str, top_n: int) -> list[Hit]:
    return _llama_hits(LlamaCohere(base_url=address, model="demo", api_key=key, top_n=top_n))


def llama_jina(address: str, key: str, top_n: int) -> list[Hit]:
    return _llama_hits(JinaRerank(base_url=f"{address}/v1", model="demo", api_key=key, top_n=top_n))


def llama_tei(address: str, key: str, top_n: int) -> list[Hit]:
    """It sends the bare key."""
    return _llama_hits(TextEmbeddingInference(base_url=address, auth_token=key, top_n=top_n))


def llama_xinference(address: str, key: str, top_n: int) -> list[Hit]:
    """It has no option for a key."""
    return _llama_hits(XinferenceRerank(base_url=address, model="demo", top_n=top_n))


def _llama_hits(postprocessor: Any) -> list[Hit]:
    nodes = [NodeWithScore(node=TextNode(text=text, id_=str(i))) for i, text in enumerate(TEXTS)]
    found = postprocessor.postprocess_nodes(nodes, query_str=QUERY)
    return [Hit(int(one.node.id_), one.score, one.node.text) for one in found]


def haystack_cohere(address: str, key: str, top_n: int) -> list[Hit]:
    ranker = CohereRanker(model="demo", api_key=Secret.from_token(key), api_base_url=address, top_k=top_n)
    documents = [HaystackDocument(content=text, meta={"index": i}) for i, text in enumerate(TEXTS)]
    found = ranker.run(query=QUERY, documents=documents)["documents"]
    return [Hit(document.meta["index"], document.score, document.content) for document in found]


CLIENTS: dict[str, Rank] = {
    "infinity-client": infinity,
    "langchain-cohere": langchain_cohere,
    "langchain-community, infinity": langchain_infinity,
    "llama-index, cohere": llama_cohere,
    "llama-index, jinaai": llama_jina,
    "llama-index, tei": llama_tei,
    "llama-index, xinference": llama_xinference,
    "cohere-haystack": haystack_cohere,
}
WITHOUT_KEYS = {"llama-index, xinference"}
