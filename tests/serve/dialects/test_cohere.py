"""Cohere, Jina and vLLM: cases that llama.cpp and vLLM test."""

import math
from typing import Any

import pytest

from tests.serve.asking import app_of, ask
from tests.serve.fake import FakeScheduler

QUERY = "sort an array"
DOCUMENTS = ["mean of numbers", "sort an array", "sort numbers", "an array"]
ROUTES = ("/rerank", "/v1/rerank", "/v2/rerank", "/openai/v1/rerank", "/invocations")


def rerank(path: str = "/v2/rerank", **fields: Any) -> Any:
    answer = ask(app_of(FakeScheduler()), path, {"query": QUERY, "documents": DOCUMENTS, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", ROUTES)
def test_an_answer_has_what_each_client_reads(path: str) -> None:
    answer = rerank(path, model="any-name", return_documents=True)
    assert [hit["index"] for hit in answer["results"]] == [1, 3, 2, 0]
    first = answer["results"][0]
    assert math.isclose(first["relevance_score"], 1 / (1 + math.exp(-3)), abs_tol=1e-6)
    assert first["document"] == {"text": "sort an array"}
    assert answer["model"] == "any-name"
    assert answer["usage"] == {"prompt_tokens": 22, "total_tokens": 22, "completion_tokens": 0}
    assert answer["meta"]["billed_units"] == {"search_units": 1}
    assert answer["meta"]["truncated"] == []
    assert answer["meta"]["api_version"]["version"] == ("2" if path == "/v2/rerank" else "1")
    assert answer["id"]


def test_documents_are_returned_on_demand_only() -> None:
    assert all("document" not in hit for hit in rerank()["results"])
    # A variant of RAGFlow sends a string.
    assert all("document" in hit for hit in rerank(return_documents="true")["results"])


@pytest.mark.parametrize(("top_n", "count"), [(None, 4), (2, 2), (4, 4), (99, 4), (0, 4)])
def test_top_n(top_n: int | None, count: int) -> None:
    assert len(rerank(top_n=top_n)["results"]) == count


@pytest.mark.parametrize("documents", [[], None, 123, [1, 2, 3], "one", {"a": "b"}])
def test_documents_that_are_none(documents: Any) -> None:
    answer = ask(app_of(FakeScheduler()), "/v1/rerank", {"query": QUERY, "documents": documents})
    assert answer.status_code == 400
    error = answer.json()
    # OpenAI's and Together's clients, Cohere's, and Voyage's look in different places.
    assert error["error"]["message"] == error["message"] == error["detail"]
    assert "documents" in error["message"]
    assert error["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [{}, {"documents": DOCUMENTS}, {"query": None, "documents": DOCUMENTS}, [], "text", 1])
def test_bodies_without_a_query(body: Any) -> None:
    answer = ask(app_of(FakeScheduler()), "/rerank", body)
    assert answer.status_code == 400
    assert answer.json()["message"]


def test_equal_documents_have_equal_scores_and_keep_their_order() -> None:
    answer = rerank(documents=["an array", "sort", "an array"])
    assert [hit["index"] for hit in answer["results"]] == [0, 2, 1]
    assert answer["results"][0]["relevance_score"] == answer["results"][1]["relevance_score"]


def test_fields_that_nobody_knows_are_ignored() -> None:
    # xinference's client sends `kwargs`; Dify sends null.
    assert rerank(kwargs="{}", top_n=None, rank_fields=["text"], max_chunks_per_doc=10)["results"]


def test_documents_as_objects_with_a_text() -> None:
    answer = rerank("/v1/rerank", documents=[{"text": text} for text in DOCUMENTS])
    assert [hit["index"] for hit in answer["results"]] == [1, 3, 2, 0]


def test_vllms_names_reach_the_scorer() -> None:
    scheduler = FakeScheduler()
    fields = {"truncate_prompt_tokens": 5, "truncation_side": "left", "use_activation": False, "priority": -1}
    body = {"query": QUERY, "documents": DOCUMENTS, "instruction": "only arrays", **fields}
    answer = ask(app_of(scheduler), "/rerank", body).json()
    (request,) = scheduler.asked
    assert (request.instruction, request.priority) == ("only arrays", "high")
    assert (request.max_tokens_per_doc, request.truncation_side) == (5, "left")  # type: ignore[union-attr]
    assert answer["results"][0]["relevance_score"] == 3.0
    unlimited = {**body, "truncate_prompt_tokens": -1}
    ask(app_of(scheduler), "/rerank", unlimited)
    assert scheduler.asked[1].max_tokens_per_doc is None  # type: ignore[union-attr]
