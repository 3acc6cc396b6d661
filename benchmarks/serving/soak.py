"""A server's memory over many requests."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import psutil

from benchmarks.serving.load import ask, compare, new_client
from benchmarks.serving.workload import Expected, Request

CONCURRENCY = 16
EVERY = 1.0  # second


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """megabytes: resident memory of the server, a value a second. wrong: what is wrong with answers."""

    requests: int
    seconds: float
    megabytes: tuple[float, ...]
    wrong: tuple[str, ...]

    @property
    def growth(self) -> float:
        """From the second quarter of the time, when caches are full, to the last, as a share."""
        quarter = max(1, len(self.megabytes) // 4)
        before = statistics.median(self.megabytes[quarter : 2 * quarter] or self.megabytes)
        return statistics.median(self.megabytes[-quarter:]) / before - 1


async def soak(
    address: str, process: psutil.Process, requests: Sequence[Request], expected: Sequence[Expected], minutes: float
) -> Soak:
    """Send requests over and over for a time."""
    began = time.perf_counter()
    end = began + 60 * minutes
    waiting = itertools.cycle(range(len(requests)))
    wrong: list[str] = []
    megabytes: list[float] = []
    sent = 0

    async def work(client: httpx.AsyncClient) -> None:
        nonlocal sent
        while time.perf_counter() < end:
            i = next(waiting)
            answer = await ask(client, address, requests[i].body)
            difference = answer if isinstance(answer, str) else compare(answer, expected[i])
            if isinstance(difference, str):
                wrong.append(difference)
            sent += 1

    async def watch() -> None:
        while time.perf_counter() < end:
            megabytes.append(process.memory_info().rss / 1e6)
            await asyncio.sleep(EVERY)

    async with new_client() as client:
        await asyncio.gather(watch(), *(work(client) for _ in range(CONCURRENCY)))
    seconds = time.perf_counter() - began
    return Soak(requests=sent, seconds=seconds, megabytes=tuple(megabytes), wrong=tuple(wrong[:10]))
