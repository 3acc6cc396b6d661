"""Tokens a second of Ray Data, of Spark and of one process on the same cores; runs where `make clusters` does:
`.venv-clusters/bin/python -m benchmarks.clusters artifacts/demo q4`."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from benchmarks.generated_pairs import pairs
from onnxrank import Reranker
from onnxrank.cli.console import show_table
from onnxrank.offline.model import ModelOptions

COLUMNS = ["engine", "workers", "threads", "seconds", "tokens/s", "of one process"]
BATCH = 512
Pairs = Sequence[tuple[str, str]]


def main(
    artifact: Path,
    variant: Annotated[str, typer.Argument()] = "q4",
    count: Annotated[int, typer.Option("--pairs", help="Pairs to score.")] = 20_000,
    cores: Annotated[int, typer.Option(help="Cores in all, as workers of one thread each.")] = 2,
) -> None:
    """Score the same pairs in each way, on one core and on all."""
    given = pairs(0, count)
    rows = []
    for workers in sorted({1, cores}):
        tokens, alone = one_process(artifact, variant, given, workers)
        ways: dict[str, Callable[[], float]] = {
            "Ray Data": lambda workers=workers: with_ray(artifact, variant, given, workers),  # type: ignore[misc]  # bound
            "Spark": lambda workers=workers: with_spark(artifact, variant, given, workers),  # type: ignore[misc]  # bound
        }
        rows.append(_row("one process", 1, workers, alone, tokens, alone))
        rows += [_row(name, workers, 1, way(), tokens, alone) for name, way in ways.items()]
    show_table(f"{count:,} pairs, {artifact.name} {variant}", COLUMNS, rows)


def _row(name: str, workers: int, threads: int, seconds: float, tokens: int, alone: float) -> list[str]:
    cells = [f"{seconds:.1f}", f"{tokens / seconds:,.0f}", f"{alone / seconds:.0%}"]
    return [name, str(workers), str(threads), *cells]


def one_process(artifact: Path, variant: str, given: Pairs, threads: int) -> tuple[int, float]:
    """Return the number of tokens and the seconds, after the weights are loaded."""
    reranker = Reranker(artifact, variant=variant, threads=threads)
    reranker.predict(given[:BATCH])
    tokens, start = 0, time.perf_counter()
    for first in range(0, len(given), BATCH):
        tokens += int(reranker.score(given[first : first + BATCH]).tokens.sum())
    return tokens, time.perf_counter() - start


def with_ray(artifact: Path, variant: str, given: Pairs, workers: int) -> float:
    """Return the seconds of a second run, whose files are in the machine's memory. Ray starts its workers anew."""
    import ray

    from onnxrank.integrations.ray import rerank

    ray.init(num_cpus=workers + 1, include_dashboard=False, log_to_driver=False)
    try:
        blocks = [_table(given[first : first + BATCH]) for first in range(0, len(given), BATCH)]
        spent = []
        for _ in range(2):
            start = time.perf_counter()
            options = ModelOptions(variant=variant)
            scored = rerank(
                ray.data.from_arrow(blocks), artifact, options, workers=(workers, workers), batch_size=BATCH
            )
            scored.materialize()
            spent.append(time.perf_counter() - start)
        return spent[1]
    finally:
        ray.shutdown()


def with_spark(artifact: Path, variant: str, given: Pairs, workers: int) -> float:
    """Return the seconds of a second run, whose files are in the machine's memory. Ray starts its workers anew."""
    from pyspark.sql import SparkSession

    from onnxrank.integrations.spark import rerank

    # The workers' Python; by default the first on the path.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        frame = session.createDataFrame(_table(given)).repartition(workers * 2).cache()
        frame.count()
        spent = []
        for _ in range(2):
            start = time.perf_counter()
            rerank(frame, artifact, ModelOptions(variant=variant)).write.format("noop").mode("overwrite").save()
            spent.append(time.perf_counter() - start)
        return spent[1]
    finally:
        session.stop()


def _table(given: Pairs) -> pa.Table:
    queries, documents = zip(*given, strict=True)
    return pa.table({"query": list(queries), "document": list(documents)})


if __name__ == "__main__":
    typer.run(main)
