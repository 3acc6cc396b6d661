"""The load generator of benchmarks/serving, in short: every answer of a server under load is right."""

import asyncio
from pathlib import Path

import psutil
import pytest

from benchmarks.demo.texts import Pair
from benchmarks.serving import report
from benchmarks.serving.load import Level, ask_all
from benchmarks.serving.neighbours import compare_beside
from benchmarks.serving.soak import soak
from benchmarks.serving.workload import Alone, Request, draw, score_alone
from onnxrank import Reranker
from tests.serve.live import Live

WORDS = "sort array axis mean plot graph path node frame value list name"
PAIRS = [
    Pair(query=f"{first} a {second}", document=f"{second}.{first}(a, {i}): {WORDS[: i % 60]}", module=second)
    for i, (first, second) in enumerate((a, b) for a in WORDS.split() for b in WORDS.split())
]
REQUESTS = draw(PAIRS, 64, (1, 12))
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def alone(demo_artifact: Path) -> Alone:
    with Reranker(demo_artifact, variant="fp32", threads=1) as reranker:
        return score_alone(reranker, REQUESTS)


def ask(url: str, requests: list[Request], alone: Alone) -> Level:
    return asyncio.run(ask_all(url, requests, alone.expected, concurrency=64, tolerance=TOLERANCE))


def test_64_requests_at_a_time(server: Live, alone: Alone) -> None:
    level = ask(f"{server.url}/rerank", REQUESTS, alone)
    assert level.wrong == () and level.worst <= TOLERANCE
    assert len(level.latencies) == 64 and min(level.latencies) > 0
    assert level.tokens == sum(one.tokens for one in alone.expected)


def test_what_is_wrong_is_seen(server: Live, alone: Alone) -> None:
    mixed_up = ask(f"{server.url}/rerank", [*REQUESTS[1:], REQUESTS[0]], alone)
    assert len(mixed_up.wrong) > 60
    lost = ask("http://127.0.0.1:9/rerank", REQUESTS, alone)
    assert len(lost.wrong) == 64 and "ConnectError" in lost.wrong[0]
    refused = ask(f"{server.url}/nowhere", REQUESTS, alone)
    assert len(refused.wrong) == 64 and "404" in refused.wrong[0]


def test_a_small_request_beside_a_large_one(server: Live, alone: Alone) -> None:
    (large,) = draw(PAIRS, 1, (100, 100))
    found = asyncio.run(compare_beside(f"{server.url}/rerank", REQUESTS[0], alone.expected[0], large, 3))
    assert len(found.alone) == len(found.beside) == 3 and found.wrong == () and found.ratio > 0


def test_memory(server: Live, alone: Alone) -> None:
    process = psutil.Process(server.process.pid)
    found = asyncio.run(soak(f"{server.url}/rerank", process, REQUESTS, alone.expected, 0.02))
    assert found.requests >= 16 and found.wrong == () and found.megabytes[0] > 50
    line = report.markdown(
        {"machine": {"cores": 2, "processor": "x", "onnxruntime": "1", "torch": "2"}, "quick": True,
         "artifact": "demo", "variant": "int8", "memory": report.of_soak(found)}
    )  # fmt: skip
    assert f"{found.requests:,} requests" in line
