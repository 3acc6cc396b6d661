"""TEI: cases of its own suite and of llama.cpp's, and what its clients depend on."""

from typing import Any

import pytest

from onnxrank.serve.errors import Overloaded, Unavailable
from tests.serve.asking import app_of, ask
from tests.serve.fake import LIMIT, FakeModel, FakeScheduler

BODY = {"query": "sort an array", "texts": ["mean of numbers", "sort an array", "an array", "sort an array"]}


def rerank(**fields: Any) -> Any:
    answer = ask(app_of(FakeScheduler()), "/rerank", {**BODY, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_bare_list_best_first_and_equal_texts_score_equal() -> None:
    answer = rerank()
    assert [hit["index"] for hit in answer] == [1, 3, 2, 0]
    assert set(answer[0]) == {"index", "score"}
    assert answer[0]["score"] == answer[1]["score"] > answer[2]["score"]


def test_return_text_and_raw_scores() -> None:
    answer = rerank(return_text=True, raw_scores=True, top_n=2)
    assert answer == [
        {"index": 1, "score": 3.0, "text": "sort an array"},
        {"index": 3, "score": 3.0, "text": "sort an array"},
    ]


@pytest.mark.parametrize(("top_n", "count"), [(None, 4), (2, 2), (4, 4), (99, 4)])
def test_top_n(top_n: int | None, count: int) -> None:
    assert len(rerank(top_n=top_n)) == count


@pytest.mark.parametrize("side", ["Left", "left"])
def test_the_direction_with_a_capital(side: str) -> None:
    scheduler = FakeScheduler()
    ask(app_of(scheduler), "/rerank", {**BODY, "truncation_direction": side})
    assert scheduler.asked[0].truncation_side == "left"  # type: ignore[union-attr]


def test_what_was_cut_is_marked_and_truncate_false_refuses() -> None:
    long = "word " * (LIMIT + 1)
    assert [hit.get("truncated") for hit in rerank(texts=["sort", long])] == [None, True]
    answer = ask(app_of(FakeScheduler()), "/rerank", {"query": "sort", "texts": ["sort", long], "truncate": False})
    assert answer.status_code == 422
    assert answer.json()["error_type"] == "Validation" and "texts" not in answer.json()


@pytest.mark.parametrize("texts", [[], None, 123, [1, 2, 3]])
def test_invalid_texts(texts: Any) -> None:
    answer = ask(app_of(FakeScheduler()), "/rerank", {"query": "sort", "texts": texts})
    assert answer.status_code == 422
    assert answer.json()["error_type"] == "Validation" and isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    ("scheduler", "status", "kind"),
    [
        (FakeScheduler(error=Overloaded(2.5)), 429, "Overloaded"),
        (FakeScheduler(error=Unavailable("it loads.")), 503, "Unhealthy"),
        (FakeScheduler(nan=(1,)), 424, "Backend"),
        (FakeScheduler(error=RuntimeError("secret")), 424, "Backend"),
    ],
)
def test_failures(scheduler: FakeScheduler, status: int, kind: str) -> None:
    answer = ask(app_of(scheduler), "/rerank", BODY)
    assert (answer.status_code, answer.json()["error_type"]) == (status, kind)
    assert "secret" not in answer.text
    assert answer.headers.get("retry-after") == ("3" if status == 429 else None)


def test_one_bad_text_of_many() -> None:
    answer = rerank(texts=["sort", 7], on_error="partial")
    assert [hit["index"] for hit in answer] == [0, 1]
    assert answer[1] == {"index": 1, "error": "texts[1] is int 7; give a string."}


def test_timing_headers() -> None:
    headers = ask(app_of(FakeScheduler()), "/rerank", BODY).headers
    assert {name: headers[name] for name in headers if name.startswith("x-") and name != "x-request-id"} == {
        "x-compute-tokens": "23",
        "x-total-time": "6",
        "x-tokenization-time": "1",
        "x-queue-time": "2",
        "x-inference-time": "3",
    }


def test_info_has_every_key_and_one_kind() -> None:
    info = ask(app_of(FakeScheduler()), "/info").json()
    assert list(info["model_type"]) == ["reranker"]
    assert {"version", "sha", "docker_label", "max_batch_requests", "max_concurrent_requests"} <= set(info)
    embedder = FakeScheduler(models={"vectors": FakeModel(kind="embedder")})
    assert list(ask(app_of(embedder), "/info").json()["model_type"]) == ["embedding"]
