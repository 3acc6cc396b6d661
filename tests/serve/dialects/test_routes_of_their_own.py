"""Mixedbread, Isaacus and Pinecone: what the package `rerankers` sends them, and reads."""

from tests.serve.asking import app_of, ask
from tests.serve.fake import FakeScheduler

APP = app_of(FakeScheduler())
QUERY, TEXTS = "sort an array", ["mean", "sort an array"]


def test_mixedbread() -> None:
    body = {"model": "demo", "query": QUERY, "input": TEXTS, "top_k": 2, "return_input": True}
    data = ask(APP, "/v1/reranking", body).json()["data"]
    assert [(hit["index"], hit["input"]) for hit in data] == [(1, "sort an array"), (0, "mean")]
    assert data[0]["score"] > data[1]["score"]


def test_isaacus() -> None:
    body = {"model": "demo", "query": QUERY, "texts": TEXTS, "top_n": 2, "return_documents": True}
    answer = ask(APP, "/v1/rerankings", body).json()
    assert [hit["index"] for hit in answer["results"]] == [1, 0]
    assert answer["usage"]["input_tokens"] == 10
    refused = ask(APP, "/v1/rerankings", {**body, "texts": []})
    assert refused.status_code == 400 and refused.json()["error"]["message"] == "texts is empty; give at least one."


def test_pinecone() -> None:
    documents = [{"text": text} for text in TEXTS]
    body = {"model": "demo", "query": QUERY, "documents": documents, "top_n": 2, "return_documents": True}
    answer = ask(APP, "/pinecone/rerank", body).json()
    assert [(hit["index"], hit["document"]["text"]) for hit in answer["data"]] == [(1, "sort an array"), (0, "mean")]
    assert answer["usage"]["rerank_units"] == 1
