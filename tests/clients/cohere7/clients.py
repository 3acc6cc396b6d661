"""Each client's own call, and its own way to say an answer's parts."""

# mypy: disable-error-code="import-not-found, import-untyped"

from typing import Any

import cohere
import litellm
import rerankers
import tei_client
import voyageai
from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker
from haystack_integrations.components.rankers.jina import JinaRanker

from tests.clients.ranking import DOCUMENTS, QUERY, Hit, Rank

TEXTS = list(DOCUMENTS)


def cohere_v1(address: str, key: str, top_n: int) -> list[Hit]:
    client = cohere.Client(api_key=key, base_url=address)
    answer = client.rerank(model="demo", query=QUERY, documents=TEXTS, top_n=top_n, return_documents=True)
    return [Hit(hit.index, hit.relevance_score, hit.document.text) for hit in answer.results]


def cohere_v2(address: str, key: str, top_n: int) -> list[Hit]:
    client = cohere.ClientV2(api_key=key, base_url=address)
    answer = client.rerank(model="demo", query=QUERY, documents=TEXTS, top_n=top_n, max_tokens_per_doc=4096, priority=0)
    assert answer.id and answer.meta.api_version.version == "2" and answer.meta.billed_units.search_units == 1
    return [Hit(hit.index, hit.relevance_score, None) for hit in answer.results]


def litellm_as(provider: str, path: str = "") -> Rank:
    def rank(address: str, key: str, top_n: int) -> list[Hit]:
        answer = litellm.rerank(
            model=f"{provider}/demo",
            query=QUERY,
            documents=TEXTS,
            top_n=top_n,
            api_base=address + path,
            api_key=key,
            return_documents=True,
        )
        return [Hit(hit["index"], hit["relevance_score"], hit["document"]["text"]) for hit in answer.results]

    return rank


def voyage(address: str, key: str, top_n: int) -> list[Hit]:
    client = voyageai.Client(api_key=key, base_url=f"{address}/v1")
    answer = client.rerank(QUERY, TEXTS, model="rerank-2.5", top_k=top_n)
    assert answer.total_tokens > len(TEXTS)
    return [Hit(hit.index, hit.relevance_score, hit.document) for hit in answer.results]


def tei(address: str, key: str, top_n: int) -> list[Hit]:
    """TEI returns all."""
    client = tei_client.HttpClient(address, headers={"Authorization": f"Bearer {key}"})
    assert client.info().server_model_type.value == "reranker"
    ranks = client.rerank(QUERY, TEXTS, return_text=True).ranks
    return [Hit(rank.index, rank.score, rank.text) for rank in ranks][:top_n]


def rerankers_as(provider: str, path: str) -> Rank:
    def rank(address: str, key: str, top_n: int) -> list[Hit]:
        """It asks for all and has no option for fewer."""
        ranker = rerankers.Reranker(provider, api_key=key, url=address + path)
        results = ranker.rank(QUERY, TEXTS, doc_ids=list(range(len(TEXTS)))).results
        return [Hit(result.document.doc_id, result.score, result.document.text) for result in results][:top_n]

    return rank


def haystack_jina(address: str, key: str, top_n: int) -> list[Hit]:
    ranker = JinaRanker(model="demo", api_key=Secret.from_token(key), top_k=top_n, base_url=f"{address}/v1/rerank")
    return _haystack_hits(ranker)


def haystack_tei(address: str, key: str, top_n: int) -> list[Hit]:
    return _haystack_hits(HuggingFaceTEIRanker(url=address, top_k=top_n, token=Secret.from_token(key), max_retries=0))


def _haystack_hits(ranker: Any) -> list[Hit]:
    documents = [Document(content=text, meta={"index": i}) for i, text in enumerate(TEXTS)]
    found = ranker.run(query=QUERY, documents=documents)["documents"]
    return [Hit(document.meta["index"], document.score, document.content) for document in found]


LITELLM: dict[str, Rank] = {
    "litellm, cohere v1": litellm_as("cohere", "/v1/rerank"),
    "litellm, cohere v2": litellm_as("cohere"),
    "litellm, jina_ai": litellm_as("jina_ai"),
    "litellm, hosted_vllm": litellm_as("hosted_vllm"),
    "litellm, infinity": litellm_as("infinity", "/infinity"),
    "litellm, huggingface": litellm_as("huggingface"),
    "litellm, voyage": litellm_as("voyage"),
}
RERANKERS: dict[str, Rank] = {
    "rerankers, cohere": rerankers_as("cohere", "/v1/rerank"),
    "rerankers, jina": rerankers_as("jina", "/v1/rerank"),
    "rerankers, voyage": rerankers_as("voyage", "/v1/rerank"),
    "rerankers, mixedbread": rerankers_as("mixedbread.ai", "/v1/reranking"),
    "rerankers, pinecone": rerankers_as("pinecone", "/pinecone/rerank"),
    "rerankers, isaacus": rerankers_as("isaacus", "/v1/rerankings"),
    "rerankers, TEI": rerankers_as("text-embeddings-inference", "/rerank"),
}
CLIENTS: dict[str, Rank] = {
    "cohere v1": cohere_v1,
    "cohere v2": cohere_v2,
    "voyageai": voyage,
    "tei-client": tei,
    "jina-haystack": haystack_jina,
    "huggingface-api-haystack": haystack_tei,
    **LITELLM,
    **RERANKERS,
}
