"""Asks a server, many requests at a time, and compares every answer with the scores it must have."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import numpy as np

from benchmarks.serving.workload import Expected, Request

PATIENCE = 1200.0  # seconds for one answer; with 512 at a time, the last waits for all


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a number of concurrent requests took. latencies: seconds of each; wrong: what is wrong with answers, one
    sentence each; worst: the largest difference of a score."""

    concurrency: int
    seconds: float
    latencies: tuple[float, ...]
    tokens: int
    wrong: tuple[str, ...]
    worst: float

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.latencies, percent))


async def ask_all(
    address: str, requests: Sequence[Request], expected: Sequence[Expected], *, concurrency: int, tolerance: float
) -> Level:
    """Send all requests to an address, `concurrency` at a time. Answers are read when the last has come, so that this
    process leaves the cores to the server."""
    bodies = [request.body for request in requests]
    answers: list[httpx.Response | str] = [""] * len(bodies)
    latencies = [0.0] * len(bodies)
    waiting = iter(range(len(bodies)))

    async def work(client: httpx.AsyncClient) -> None:
        for i in waiting:
            start = time.perf_counter()
            answers[i] = await ask(client, address, bodies[i])
            latencies[i] = time.perf_counter() - start

    async with new_client() as client:
        start = time.perf_counter()
        await asyncio.gather(*(work(client) for _ in range(concurrency)))
        seconds = time.perf_counter() - start
    problems, worst = [], 0.0
    for i, (answer, wanted) in enumerate(zip(answers, expected, strict=True)):
        difference = answer if isinstance(answer, str) else compare(answer, wanted)
        if isinstance(difference, str):
            problems.append(f"request {i}: {difference}")
        else:
            worst = max(worst, difference)
            if difference > tolerance:
                problems.append(f"request {i}: a score differs by {difference:.3g}")
    return Level(
        concurrency=concurrency,
        seconds=seconds,
        latencies=tuple(latencies),
        tokens=sum(one.tokens for one in expected),
        wrong=tuple(problems),
        worst=worst,
    )


def new_client() -> httpx.AsyncClient:
    """Return a client with as many connections as are asked for."""
    return httpx.AsyncClient(
        timeout=PATIENCE,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        headers={"content-type": "application/json"},
    )


async def ask(client: httpx.AsyncClient, address: str, body: bytes) -> httpx.Response | str:
    """Return the answer, or why there is none. A full queue is asked again, after as long as it says."""
    try:
        while (answer := await client.post(address, content=body)).status_code == httpx.codes.TOO_MANY_REQUESTS:
            await asyncio.sleep(float(answer.headers["retry-after"]))
        return answer
    except httpx.TransportError as error:
        return repr(error)


def compare(answer: httpx.Response, expected: Expected) -> float | str:
    """Return the largest difference of a score, or what is wrong with an answer."""
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.text[:200]}"
    results = json.loads(answer.content)["results"]
    indices = [hit["index"] for hit in results]
    scores = [hit["relevance_score"] for hit in results]
    if sorted(indices) != list(range(len(expected.scores))):
        return f"{len(indices)} results for {len(expected.scores)} documents"
    if scores != sorted(scores, reverse=True):
        return "the results are not in order"
    return float(np.abs(expected.scores[indices] - scores).max())
