"""What all dialects share: the choice of a model, bad documents, thresholds, what is reported."""

from typing import Any

import numpy as np
import pytest

from onnxrank.serve.errors import DeadlineExceeded, Overloaded, Unavailable
from tests.serve.asking import app_of, ask
from tests.serve.fake import LIMIT, FakeModel, FakeScheduler

LONG = "word " * (LIMIT + 1)
MANY = {"first": FakeModel(), "second": FakeModel(), "vectors": FakeModel(kind="embedder")}


def rerank(scheduler: FakeScheduler | None = None, **fields: Any) -> Any:
    body = {"query": "sort an array", "documents": ["mean", "sort an array"], **fields}
    return ask(app_of(scheduler or FakeScheduler()), "/v1/rerank", body)


def test_one_model_has_any_name() -> None:
    assert rerank(model="whatever").json()["model"] == "whatever"
    assert rerank().json()["model"] == "demo"


def test_several_models_are_chosen_by_name() -> None:
    assert rerank(FakeScheduler(models=MANY), model="second").json()["model"] == "second"
    assert rerank(FakeScheduler(models=MANY)).json()["model"] == "first"
    answer = rerank(FakeScheduler(models=MANY), model="third")
    assert answer.status_code == 404
    assert answer.json()["message"] == (
        "model is 'third', and this server has first, second, vectors; give one of these."
    )
    assert rerank(FakeScheduler(models=MANY), model="vectors").status_code == 400


def test_a_bad_document_fails_the_request_or_itself_alone() -> None:
    documents = ["mean", 7, "sort an array", {"title": "x"}, "\x00 an"]
    answer = rerank(documents=documents)
    assert answer.status_code == 400
    assert answer.json()["message"] == "documents[1] is int 7; give a string."
    scheduler = FakeScheduler()
    partial = rerank(scheduler, documents=documents, on_error="partial").json()
    assert [hit["index"] for hit in partial["results"]] == [2, 4, 0]
    assert [error["index"] for error in partial["meta"]["errors"]] == [1, 3]
    assert len(scheduler.asked[0].pairs) == 3  # type: ignore[union-attr]


def test_only_bad_documents_are_not_scored_at_all() -> None:
    scheduler = FakeScheduler()
    answer = rerank(scheduler, documents=[1, None], on_error="partial").json()
    assert answer["results"] == [] and len(answer["meta"]["errors"]) == 2 and not scheduler.asked


@pytest.mark.parametrize("bad_first", [False, True])
def test_reports_are_by_the_index_in_the_request(bad_first: bool) -> None:
    documents = [*([7] if bad_first else []), "sort", LONG, "array", LONG]
    shift = int(bad_first)
    answer = rerank(documents=documents, on_error="partial").json()
    assert answer["meta"]["truncated"] == [1 + shift, 3 + shift]
    chunked = rerank(documents=documents, on_error="partial", long_documents="chunk").json()
    assert chunked["meta"]["truncated"] == []
    assert chunked["meta"]["windows"] == [
        {"index": i + shift, "number": 2, "count": 3, "start": 10, "end": 20} for i in (1, 3)
    ]
    refused = rerank(documents=documents, on_error="partial", long_documents="error").json()
    assert [hit["index"] for hit in refused["results"]] == [0 + shift, 2 + shift]
    for i in (1 + shift, 3 + shift):
        assert {"index": i, "message": f"documents[{i}] is too long."} in refused["meta"]["errors"]


def test_scores_below_a_threshold_are_left_out() -> None:
    assert [hit["index"] for hit in rerank(score_threshold=0.6).json()["results"]] == [1]
    assert [hit["index"] for hit in rerank(score_threshold=2.9, raw_scores=True).json()["results"]] == [1]
    assert rerank(score_threshold=1.5).json()["results"] == []
    # More than float32 holds.
    assert rerank(score_threshold=1e39).json()["results"] == []


def test_documents_with_the_fields_of_a_template() -> None:
    scheduler = FakeScheduler(models={"demo": FakeModel(document_template="{name}: {description}")})
    documents = [{"name": "sort", "description": "an array"}, {"text": "mean"}, ["a", "b"], "plain"]
    assert rerank(scheduler, documents=documents).status_code == 200
    assert [pair[1] for pair in scheduler.asked[0].pairs] == [  # type: ignore[union-attr]
        "sort: an array",
        "mean",
        "a: b",
        "plain",
    ]


@pytest.mark.parametrize(("priority", "name"), [(0, "normal"), (-3, "high"), (999, "low"), ("high", "high")])
def test_priorities(priority: int | str, name: str) -> None:
    scheduler = FakeScheduler()
    rerank(scheduler, priority=priority)
    assert scheduler.asked[0].priority == name


def test_control_tokens_stay_text() -> None:
    scheduler = FakeScheduler()
    rerank(scheduler, documents=["<|im_end|>"])
    assert scheduler.asked[0].pairs == (("sort an array", "<|im_end|>"),)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (Overloaded(0.2), 429, "rate_limit_error"),
        (Unavailable("it loads."), 503, "server_error"),
        (DeadlineExceeded("too late."), 504, "timeout_error"),
        (RuntimeError("secret"), 500, "server_error"),
    ],
)
def test_failures(error: Exception, status: int, kind: str) -> None:
    answer = rerank(FakeScheduler(error=error))
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    assert answer.headers.get("retry-after") == ("1" if status == 429 else None)
    assert "secret" not in answer.text and "Traceback" not in answer.text


@pytest.mark.parametrize("path", ["/rerank", "/score"])
def test_a_score_that_is_no_number_is_the_servers_fault(path: str) -> None:
    body = {"query": "sort", "queries": "sort", "documents": ["a", "b"], "on_error": "partial"}
    answer = ask(app_of(FakeScheduler(nan=(1,))), path, body)
    assert answer.status_code == 500 and "NaN" not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["message"]


def test_more_documents_than_the_server_takes() -> None:
    app = app_of(FakeScheduler(), max_documents=3)
    body = {"query": "a", "documents": ["b"] * 3}
    assert ask(app, "/rerank", body).status_code == 200
    answer = ask(app, "/rerank", {**body, "documents": ["b"] * 4})
    assert answer.status_code == 400 and "4 entries, and this server takes 3" in answer.json()["message"]
    assert ask(app, "/rerank", {"query": "a", "texts": ["b"] * 4}).status_code == 422


def test_a_request_has_no_more_time_than_the_server_gives() -> None:
    import time

    scheduler = FakeScheduler()
    app = app_of(scheduler, timeout=10)
    for timeout, longest in ((None, 10), (3, 3), (1000, 10)):
        before = time.monotonic()
        ask(app, "/rerank", {"query": "a", "documents": ["b"], "timeout": timeout})
        deadline = scheduler.asked[-1].deadline
        assert deadline is not None and before <= deadline - longest <= time.monotonic()


def test_a_document_without_tokens_is_last_with_a_number() -> None:
    """MaxSim gives it -inf."""
    body = {"query": "a b", "documents": ["a", "", "b"], "raw_scores": True}
    answer = ask(app_of(FakeScheduler(lowest=(1,))), "/infinity/rerank", body)
    assert [hit["index"] for hit in answer.json()["results"]] == [0, 2, 1]
    assert answer.json()["results"][-1]["relevance_score"] == pytest.approx(np.finfo(np.float32).min)
