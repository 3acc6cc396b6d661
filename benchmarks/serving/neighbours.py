"""A small request beside large ones: how much longer it takes than alone."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import numpy as np

from benchmarks.serving.load import ask, compare, new_client
from benchmarks.serving.workload import Expected, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Seconds of each small request, alone and while a large one is scored; wrong: what is wrong with answers."""

    alone: tuple[float, ...]
    beside: tuple[float, ...]
    wrong: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """Of the 99th percentiles."""
        return float(np.percentile(self.beside, 99) / np.percentile(self.alone, 99))


async def compare_beside(address: str, small: Request, expected: Expected, large: Request, repeats: int) -> Beside:
    """Send the small request one at a time, first alone, then while a client sends nothing but the large one."""
    wrong: list[str] = []

    async def timed(client: httpx.AsyncClient) -> tuple[float, ...]:
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            answer = await ask(client, address, small.body)
            seconds.append(time.perf_counter() - start)
            difference = answer if isinstance(answer, str) else compare(answer, expected)
            if isinstance(difference, str):
                wrong.append(difference)
        return tuple(seconds)

    async with new_client() as client:
        await timed(client)
        alone = await timed(client)
        async with _kept_busy(client, address, large.body):
            beside = await timed(client)
    return Beside(alone=alone, beside=beside, wrong=tuple(wrong))


@contextlib.asynccontextmanager
async def _kept_busy(client: httpx.AsyncClient, address: str, body: bytes) -> AsyncIterator[None]:
    async def send() -> None:
        while True:
            await ask(client, address, body)

    sending = asyncio.create_task(send())
    try:
        yield
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
