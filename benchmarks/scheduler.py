"""Compares the server's scheduler, full of requests, with `Reranker.rank` one request after the other.

`python -m benchmarks.scheduler build/full-size-artifact --variant int8`
"""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from onnxrank import Reranker
from onnxrank.cli.console import show_table
from onnxrank.serve.model.served_model import ServedModel
from onnxrank.serve.requests import ScoreRequest
from onnxrank.serve.scheduling.limits import Limits
from onnxrank.serve.scheduling.scheduler import Scheduler

WORDS = "the a sort array axis value of index returns default frame column date parse file read write key list".split()
CONCURRENT = (1, 8, 64)
# Words of a query, and of a document.
QUERY, LENGTHS = 6, (10, 150)


def main(
    artifact: Annotated[Path, typer.Argument(help="Folder of a reranker.")],
    variant: Annotated[str | None, typer.Option(help="Which variant; the default one for CPUs.")] = None,
    requests: Annotated[int, typer.Option(help="How many requests, each with a query of its own.")] = 64,
    documents: Annotated[int, typer.Option(help="Documents of a request.")] = 50,
) -> None:
    """Print tokens per second, and the scheduler's in percent of `Reranker.rank`'s."""
    rng = np.random.default_rng(0)
    asked = []
    for _ in range(requests):
        query = _text(rng, QUERY)
        texts = [_text(rng, int(rng.integers(*LENGTHS))) for _ in range(documents)]
        asked.append(ScoreRequest(pairs=tuple((query, text) for text in texts)))
    alone, tokens = _alone(artifact, variant, asked)
    rows = [["Reranker.rank", f"{tokens / alone:,.0f}", "100%"]]
    for count in CONCURRENT:
        seconds = asyncio.run(_served(artifact, variant, asked, count))
        rows.append([f"{count} at a time", f"{tokens / seconds:,.0f}", f"{alone / seconds:.0%}"])
    show_table(f"{requests} requests of {documents} documents", ["", "tokens / s", "of rank's"], rows)


def _alone(artifact: Path, variant: str | None, asked: list[ScoreRequest]) -> tuple[float, int]:
    """Return the seconds and tokens of all requests."""
    with Reranker(artifact, variant=variant) as reranker:
        reranker.score(asked[0].pairs)
        start = time.perf_counter()
        tokens = sum(int(reranker.score(request.pairs).tokens.sum()) for request in asked)
        return time.perf_counter() - start, tokens


async def _served(artifact: Path, variant: str | None, asked: list[ScoreRequest], count: int) -> float:
    """Return the seconds of all requests, `count` at a time."""
    scheduler = Scheduler({"model": ServedModel(artifact, variant=variant)}, Limits())
    await scheduler.start()
    free = asyncio.Semaphore(count)

    async def ask(request: ScoreRequest) -> None:
        async with free:
            await scheduler.score("model", request)

    start = time.perf_counter()
    await asyncio.gather(*map(ask, asked))
    seconds = time.perf_counter() - start
    await scheduler.drain(0)
    return seconds


def _text(rng: np.random.Generator, words: int) -> str:
    return " ".join(rng.choice(WORDS, words))


if __name__ == "__main__":
    typer.run(main)
