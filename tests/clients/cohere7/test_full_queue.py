"""Many clients at once, and a queue that holds one request: they come again when the server has told them to."""

# mypy: disable-error-code="import-not-found, import-untyped"

import re
import time
from concurrent.futures import ThreadPoolExecutor

import cohere
import httpx
import pytest

from tests.clients.ranking import DOCUMENTS, QUERY

CLIENTS = 12
# More than half of SMALL_QUEUE in tests/clients/__main__.py.
MANY = [f"{text} {i}" for i in range(10) for text in DOCUMENTS]


def test_cohere_waits_as_long_as_it_is_told(busy: str) -> None:
    refused = _refusals(busy)

    def ask(_: int) -> tuple[float, dict[int, float]]:
        start = time.monotonic()
        client = cohere.ClientV2("any key", base_url=busy)
        answer = client.rerank(model="demo", query=QUERY, documents=MANY, request_options={"max_retries": 50})
        return time.monotonic() - start, {hit.index: hit.relevance_score for hit in answer.results}

    with ThreadPoolExecutor(CLIENTS) as threads:
        seconds, answers = zip(*threads.map(ask, range(CLIENTS)), strict=True)
    assert _refusals(busy) > refused
    for answer in answers:
        assert answer == pytest.approx(answers[0], abs=1e-6) and len(answer) == len(MANY)
    # Retry-After is a second at least; without it, the first retry comes after half of one.
    assert min(seconds) < 1 <= max(seconds)


def _refusals(address: str) -> float:
    text = httpx.get(f"{address}/metrics").text
    found = re.findall(r'^onnxrank_requests_total\{.*status="429".*\} (\S+)', text, re.MULTILINE)
    return sum(map(float, found))
