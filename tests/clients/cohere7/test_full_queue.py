"""Some clients at once, and a queue that holds one request: they come again when the server has told them to."""

# mypy: disable-error-code="import-not-found, import-untyped"

import re
import time
from concurrent.futures import ThreadPoolExecutor

import cohere
import httpx
import pytest

from tests.clients.ranking import BATCH_EFFECT, DOCUMENTS, QUERY

CLIENTS = 4
# About a second of computing, and more than half of SMALL_QUEUE in tests/clients/__main__.py.
MANY = [f"{text} {i}" for i in range(100) for text in DOCUMENTS]


def test_cohere_waits_as_long_as_it_is_told(busy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused, waits, sleep = _refusals(busy), [], time.sleep

    def wait(seconds: float) -> None:
        waits.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", wait)

    def ask(i: int) -> dict[int, float]:
        """Each has a query of its own, because a server computes equal pairs once."""
        client = cohere.ClientV2("any key", base_url=busy)
        query = f"{QUERY}, number {i}"
        answer = client.rerank(model="demo", query=query, documents=MANY, request_options={"max_retries": 100})
        return {hit.index: hit.relevance_score for hit in answer.results}

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(ask, range(CLIENTS)))
    assert len(waits) == _refusals(busy) - refused > 0
    # Retry-After is in whole seconds; the client's own waits start at half a second and are random.
    assert all(seconds >= 1 and seconds == int(seconds) for seconds in waits)
    for i, answer in enumerate(answers):
        assert answer == pytest.approx(ask(i), abs=BATCH_EFFECT) and len(answer) == len(MANY)
        assert answer != pytest.approx(answers[i - 1], abs=BATCH_EFFECT)


def _refusals(address: str) -> float:
    text = httpx.get(f"{address}/metrics").text
    found = re.findall(r'^onnxrank_requests_total\{.*status="429".*\} (\S+)', text, re.MULTILINE)
    return sum(map(float, found))
