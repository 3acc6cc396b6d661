"""Infinity: cases of its own suite."""

from itertools import permutations
from typing import Any

import pytest

from tests.serve.asking import app_of, ask
from tests.serve.fake import FakeScheduler, logit

QUERY = "sort an array"
DOCUMENTS = ("mean of numbers", "sort an array", "sort numbers")
APP = app_of(FakeScheduler())


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "demo", "query": QUERY, "raw_scores": False, **fields}


@pytest.mark.parametrize("path", ["/rerank", "/infinity/rerank"])
@pytest.mark.parametrize("top_n", [1, 2, 8000])
@pytest.mark.parametrize("shown", [False, True])
def test_every_order_of_the_documents(path: str, top_n: int, shown: bool) -> None:
    for documents in permutations(DOCUMENTS):
        answer = ask(APP, path, body(documents=documents, top_n=top_n, return_documents=shown)).json()
        assert answer["object"] == "rerank" and answer["model"] == "demo"
        assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0
        best = sorted(documents, key=lambda document: -logit(QUERY, document))[:top_n]
        assert [documents[hit["index"]] for hit in answer["results"]] == best
        # A string, where Cohere has an object.
        assert [hit.get("document") for hit in answer["results"]] == (best if shown else [None] * len(best))


@pytest.mark.parametrize("top_n", [0, -1])
def test_top_n_of_nothing_is_refused(top_n: int) -> None:
    answer = ask(APP, "/rerank", body(documents=DOCUMENTS, top_n=top_n))
    # Its client crashes on a 422 whose `detail` is a string.
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("top_n: ")


def test_raw_scores() -> None:
    answer = ask(APP, "/rerank", {**body(documents=DOCUMENTS), "raw_scores": True}).json()
    assert [hit["relevance_score"] for hit in answer["results"]] == [3.0, 1.0, 0.0]
