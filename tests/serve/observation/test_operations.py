"""Health, metrics and logs."""

import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from onnxrank.serve.observation import logs
from tests.serve.asking import app_of, ask
from tests.serve.fake import READY, FakeScheduler

SECRET = "the patient's name"
BODY = {"query": SECRET, "documents": [SECRET, "b"]}


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/ping"])
def test_ready_or_why_not(path: str) -> None:
    answer = ask(app_of(FakeScheduler()), path)
    assert answer.status_code == 200 and answer.json()["queued_tokens"] == 7
    loading = FakeScheduler(state=replace(READY, ready=False, reason="the model loads."))
    answer = ask(app_of(loading), path)
    assert (answer.status_code, answer.json()["reason"]) == (503, "the model loads.")
    assert ask(app_of(loading), "/health/live").status_code == 200
    assert ask(app_of(loading), "/rerank", BODY).status_code == 503


def samples(app: Any) -> dict[str, float]:
    lines = ask(app, "/metrics").text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_metrics() -> None:
    app = app_of(FakeScheduler())
    ask(app, "/v1/rerank", BODY)
    ask(app, "/v1/rerank", {})
    for i in range(3):
        ask(app, f"/nowhere/{i}")
    found = samples(app)
    assert found['onnxrank_requests_total{route="/v1/rerank",status="200"}'] == 1
    assert found['onnxrank_requests_total{route="/v1/rerank",status="400"}'] == 1
    # A scanner must not make a series of each path.
    assert found['onnxrank_requests_total{route="other",status="404"}'] == 3
    assert found["onnxrank_documents_total"] == 2
    assert found["onnxrank_tokens_total"] == 10
    assert found["onnxrank_queued_tokens"] == 7
    assert found["onnxrank_queue_seconds_sum"] == 0.002
    assert not [name for name in found if name.startswith("te_")]


def test_metrics_by_teis_names() -> None:
    app = app_of(FakeScheduler(), tei_metrics=True)
    ask(app, "/rerank", {"query": "a", "texts": ["a", "b"]})
    ask(app, "/rerank", {"query": "a", "texts": []})
    found = samples(app)
    assert found['te_request_count{method="batch"}'] == 2
    assert found['te_request_success{method="batch"}'] == 1
    assert found['te_request_failure{err="validation"}'] == 1
    assert found["te_request_inference_duration_sum"] == 0.003
    assert found["te_queue_size"] == 2


@pytest.mark.parametrize("as_json", [False, True])
def test_a_line_a_request_without_its_texts(as_json: bool, capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up(as_json=as_json)
    try:
        app = app_of(FakeScheduler())
        ask(app, "/rerank", BODY, headers={"x-request-id": "job-7"})
        ask(app, "/rerank", {"query": SECRET, "documents": [{SECRET: 1}]})
        ask(app, "/health")
    finally:
        logging.getLogger("onnxrank.serve").handlers.clear()
        logging.getLogger("uvicorn.error").handlers.clear()
    first, second = capfd.readouterr().err.splitlines()
    assert SECRET not in first + second
    if as_json:
        line = json.loads(first)
        assert (line["request"], line["route"], line["status"], line["documents"]) == ("job-7", "/rerank", 200, 2)
        assert json.loads(second)["status"] == 400
    else:
        assert "request=job-7 route=/rerank status=200" in first and "documents=2" in first
