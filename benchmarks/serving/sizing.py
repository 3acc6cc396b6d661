"""Speed and memory of served artifacts: `python -m benchmarks.serving.sizing artifacts/demo:int8 build/bench/qwen3:q4`.

Requests of 20 of Debian's package descriptions, as many at a time as keep the server busy.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer

from benchmarks.fidelity.packages import descriptions
from benchmarks.machine import peak_megabytes
from benchmarks.serving import servers
from benchmarks.serving.load import ask, new_client
from benchmarks.serving.servers import started
from benchmarks.serving.workload import Request, draw
from onnxrank.cli.console import show_table

LOG = Path("build/bench-serve/sizing.log")
REQUESTS, DOCUMENTS, CONCURRENCY = 1_000, 20, 4
COLUMNS = ["artifact", "variant", "cores", "tokens/s", "documents/s", "MB when ready", "MB at most"]


def main(
    served: Annotated[list[str], typer.Argument(help="Each FOLDER:VARIANT.")],
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 30.0,
) -> None:
    """Measure each on one core and on all."""
    requests = draw(descriptions(), REQUESTS, (DOCUMENTS, DOCUMENTS), seed=4)
    rows = []
    for folder, _, variant in (name.rpartition(":") for name in served):
        for cores in sorted({1, psutil.cpu_count(logical=False) or 1}):
            with started(servers.onnxrank(Path(folder), variant, cores), LOG) as (address, process):
                ready = psutil.Process(process).memory_info().rss / 1e6
                tokens, documents = asyncio.run(_throughput(f"{address}/rerank", requests, seconds))
                cells = f"{tokens:,.0f}", f"{documents:.1f}", f"{ready:,.0f}", f"{peak_megabytes(process):,.0f}"
            rows.append([Path(folder).name, variant, str(cores), *cells])
    show_table(f"{DOCUMENTS} documents a request, {CONCURRENCY} requests at a time", COLUMNS, rows)


async def _throughput(address: str, requests: Sequence[Request], seconds: float) -> tuple[float, float]:
    """Return tokens of prompts, and documents, a second."""
    waiting = itertools.cycle(requests)
    tokens = answered = 0
    began = time.perf_counter()

    async def work(client: httpx.AsyncClient) -> None:
        nonlocal tokens, answered
        while time.perf_counter() < began + seconds:
            answer = await ask(client, address, next(waiting).body)
            if isinstance(answer, str) or answer.status_code != 200:
                raise RuntimeError(f"no ranking, but {answer if isinstance(answer, str) else answer.text}")
            tokens += json.loads(answer.content)["usage"]["total_tokens"]
            answered += 1

    async with new_client() as client:
        await asyncio.gather(*(work(client) for _ in range(CONCURRENCY)))
    spent = time.perf_counter() - began
    return tokens / spent, answered * DOCUMENTS / spent


if __name__ == "__main__":
    typer.run(main)
