"""Short names for known models."""

from dataclasses import dataclass

UNSTATED = "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """`repo_id` None means the checkpoint inside this package. licence: as named on the model's card."""

    repo_id: str | None
    family: str
    licence: str
    parameters: str


def _alias(repo_id: str | None, family: str, parameters: str, licence: str = "apache-2.0") -> Alias:
    return Alias(repo_id=repo_id, family=family, licence=licence, parameters=parameters)


ALIASES = {
    "demo": _alias(None, "qwen3-reranker", "1.4M"),
    "demo-retriever": _alias(None, "qwen3-embedding", "1.7M"),
    "qwen3-reranker": _alias("Qwen/Qwen3-Reranker-0.6B", "qwen3-reranker", "0.6B"),
    "qwen3-reranker-4b": _alias("Qwen/Qwen3-Reranker-4B", "qwen3-reranker", "4B"),
    "qwen3-reranker-8b": _alias("Qwen/Qwen3-Reranker-8B", "qwen3-reranker", "8B"),
    "mxbai-rerank-base-v2": _alias("mixedbread-ai/mxbai-rerank-base-v2", "mxbai-rerank", "0.5B"),
    "mxbai-rerank-large-v2": _alias("mixedbread-ai/mxbai-rerank-large-v2", "mxbai-rerank", "1.5B"),
    "zerank-2": _alias("zeroentropy/zerank-2", "zerank", "4B", "cc-by-nc-4.0"),
    "llama-nemotron-rerank": _alias(
        "nvidia/llama-nemotron-rerank-1b-v2", "llama-nemotron-rerank", "1B", "nvidia-open-model-license"
    ),
    "matrix-v6-reranker": _alias("hyperspaceai/matrix-v6-reranker", "matrix-v6-reranker", "0.6B", UNSTATED),
    "mmbert-rerank": _alias("llm-semantic-router/mmbert-rerank-32k-2d-matryoshka", "mmbert-rerank", "308M"),
    "bge-reranker-v2-m3": _alias("BAAI/bge-reranker-v2-m3", "cross-encoder", "568M"),
    "gte-reranker-modernbert": _alias("Alibaba-NLP/gte-reranker-modernbert-base", "cross-encoder", "149M"),
    "granite-reranker-r2": _alias("ibm-granite/granite-embedding-reranker-english-r2", "cross-encoder", "149M"),
    "ettin-reranker-17m": _alias("cross-encoder/ettin-reranker-17m-v1", "cross-encoder", "17M"),
    "ettin-reranker-32m": _alias("cross-encoder/ettin-reranker-32m-v1", "cross-encoder", "32M"),
    "ettin-reranker-68m": _alias("cross-encoder/ettin-reranker-68m-v1", "cross-encoder", "68M"),
    "ettin-reranker-150m": _alias("cross-encoder/ettin-reranker-150m-v1", "cross-encoder", "150M"),
    "ettin-reranker-400m": _alias("cross-encoder/ettin-reranker-400m-v1", "cross-encoder", "400M"),
    "ettin-reranker-1b": _alias("cross-encoder/ettin-reranker-1b-v1", "cross-encoder", "1B"),
    "ms-marco-minilm": _alias("cross-encoder/ms-marco-MiniLM-L6-v2", "cross-encoder", "23M"),
    "reason-mxbai-colbert": _alias("DataScience-UIBK/Reason-mxbai-colbert-v0.1-32m", "colbert", "32M", UNSTATED),
    "mxbai-edge-colbert": _alias("mixedbread-ai/mxbai-edge-colbert-v0-32m", "colbert", "32M"),
    "colbert-zero": _alias("lightonai/ColBERT-Zero", "colbert", "149M"),
    "qwen3-embedding": _alias("Qwen/Qwen3-Embedding-0.6B", "qwen3-embedding", "0.6B"),
}
