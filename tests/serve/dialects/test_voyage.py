"""Voyage: what its client reads and sends."""

import pytest

from tests.serve.asking import app_of, ask
from tests.serve.fake import LIMIT, FakeScheduler

BODY = {"query": "sort an array", "documents": ["mean", "sort an array", "an array"], "model": "rerank-2"}


@pytest.mark.parametrize("fields", [{"top_k": None}, {"truncation": True}, {"top_k": 3, "truncation": True}])
def test_an_answer(fields: dict[str, object]) -> None:
    answer = ask(app_of(FakeScheduler()), "/v1/rerank", {**BODY, **fields, "return_documents": True}).json()
    assert answer["object"] == "list" and answer["model"] == "rerank-2"
    assert [hit["index"] for hit in answer["data"]] == [1, 2, 0]
    assert answer["data"][0]["document"] == "sort an array"
    assert answer["usage"]["total_tokens"] == 15


def test_top_k() -> None:
    assert len(ask(app_of(FakeScheduler()), "/v1/rerank", {**BODY, "top_k": 1}).json()["data"]) == 1
    answer = ask(app_of(FakeScheduler()), "/v1/rerank", {**BODY, "top_k": 0})
    assert answer.status_code == 400 and answer.json()["detail"].startswith("top_k: ")


def test_no_truncation_refuses_what_is_too_long() -> None:
    documents = ["sort", "word " * (LIMIT + 1)]
    answer = ask(app_of(FakeScheduler()), "/v1/rerank", {**BODY, "documents": documents, "truncation": False})
    assert answer.status_code == 400 and "documents[1]" in answer.json()["detail"]
