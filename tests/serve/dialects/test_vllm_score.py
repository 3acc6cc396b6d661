"""vLLM's /score: cases of its own suite."""

from typing import Any

import pytest

from tests.serve.asking import app_of, ask
from tests.serve.fake import LIMIT, FakeScheduler

APP = app_of(FakeScheduler())


@pytest.mark.parametrize("path", ["/score", "/v1/score", "/invocations"])
@pytest.mark.parametrize(
    "names", [("text_1", "text_2"), ("data_1", "data_2"), ("queries", "documents"), ("queries", "items")]
)
@pytest.mark.parametrize(
    ("queries", "documents", "scores"),
    [
        ("sort a", "sort a", [2.0]),
        ("sort a", ["a", "mean", "sort a"], [1.0, 0.0, 2.0]),
        (["sort a"], ["a", "mean"], [1.0, 0.0]),
        (["sort a", "mean"], ["a", "mean"], [1.0, 1.0]),
    ],
)
def test_pairs_in_every_spelling(path: str, names: tuple[str, str], queries: Any, documents: Any, scores: Any) -> None:
    body = {names[0]: queries, names[1]: documents, "use_activation": False}
    answer = ask(APP, path, body).json()
    assert answer["object"] == "list" and answer["model"] == "demo" and answer["id"] and answer["created"]
    assert answer["data"] == [{"index": i, "object": "score", "score": score} for i, score in enumerate(scores)]
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] > 0


@pytest.mark.parametrize(
    "body",
    [
        {"text_1": ["a", "b"], "text_2": ["a", "b", "c"]},
        {"text_1": ["a", "b"], "text_2": "a"},
        {"text_1": [], "text_2": "a"},
        {"text_1": "a", "text_2": []},
        {"text_1": "a"},
        {"text_1": 1, "text_2": "a"},
    ],
)
def test_pairs_that_do_not_pair_up(body: dict[str, Any]) -> None:
    answer = ask(APP, "/score", body)
    assert answer.status_code == 400 and answer.json()["message"]


def test_the_same_scores_as_rerank() -> None:
    documents = ["a", "mean", "sort a"]
    ranked = ask(APP, "/rerank", {"query": "sort a", "documents": documents}).json()["results"]
    scored = ask(APP, "/score", {"text_1": "sort a", "text_2": documents}).json()["data"]
    assert {hit["index"]: hit["relevance_score"] for hit in ranked} == {one["index"]: one["score"] for one in scored}
    assert ask(APP, "/invocations", {"query": "sort a", "documents": documents}).json()["results"] == ranked


def test_what_is_too_long() -> None:
    body = {"text_1": "sort", "text_2": ["sort", "word " * (LIMIT + 1)]}
    assert ask(APP, "/score", body).json()["meta"]["truncated"] == [1]
    answer = ask(APP, "/score", {**body, "long_documents": "error"})
    assert answer.status_code == 400 and "documents[1] is too long" in answer.json()["message"]
