"""Build time, memory, recall and search time of a cascade's kinds of index: `python -m benchmarks.vector_indexes`.

The default is a corpus of 446,897 vectors of 1,024 numbers. Random vectors have no neighbourhoods, which is the worst
case for recall; with --topics they lie around so many centres, as those of texts do.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.machine import peak_megabytes
from onnxrank.cli.console import show_table, warn
from onnxrank.vector_index import KINDS, FaissIndex

NEAREST, QUERIES, CHUNK = 50, 200, 8192
COLUMNS = ["index", "build, s", "peak MB", "recall@50", "ms a query", "ms, slowest of 100"]
Floats = NDArray[np.float32]


def main(
    documents: Annotated[int, typer.Option(help="Vectors in the index.")] = 446_897,
    dim: Annotated[int, typer.Option(help="Numbers in a vector.")] = 1024,
    topics: Annotated[int, typer.Option(help="Centres that the vectors lie around; 0 for none.")] = 0,
    kind: Annotated[str | None, typer.Option(help="Measure this kind alone, and print JSON.")] = None,
) -> None:
    """Measure each kind in a process of its own."""
    if kind:
        sys.stdout.write(json.dumps(measured(kind, documents, dim, topics)) + "\n")
        return
    rows = []
    for name in KINDS:
        options = ["--documents", documents, "--dim", dim, "--topics", topics, "--kind", name]
        command = [sys.executable, "-m", "benchmarks.vector_indexes", *map(str, options)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append([name, *map(str, found)])
        warn(" ".join(rows[-1]))
    show_table(f"{documents:,} vectors of {dim:,} numbers, {topics} topics", COLUMNS, rows)


def measured(kind: str, documents: int, dim: int, topics: int) -> list[float]:
    """Return the cells of a row."""
    queries = next(_vectors(QUERIES, dim, topics, seed=1))
    exact = _nearest(queries, documents, dim, topics)
    index = FaissIndex(kind)
    index.start(dim)
    built = 0.0
    for chunk in _vectors(documents, dim, topics, seed=0):
        start = time.perf_counter()
        index.add(chunk)
        built += time.perf_counter() - start
    start = time.perf_counter()
    index.finish()
    built += time.perf_counter() - start
    spent, found = [], 0
    for query, places in zip(queries, exact, strict=True):
        start = time.perf_counter()
        _, near = index.search(query, NEAREST)
        spent.append(1e3 * (time.perf_counter() - start))
        found += len(set(places.tolist()) & set(near.tolist()))
    recall = found / exact.size
    return [
        round(built, 1),
        round(peak_megabytes()),
        round(recall, 3),
        round(float(np.median(spent)), 2),
        round(float(np.percentile(spent, 99)), 2),
    ]


def _nearest(queries: Floats, documents: int, dim: int, topics: int) -> NDArray[np.int64]:
    """Return the places of the nearest vectors by comparing all in float32."""
    count = min(NEAREST, documents)
    scores = np.empty((len(queries), 0), np.float32)
    places = np.empty((len(queries), 0), np.int64)
    first = 0
    for chunk in _vectors(documents, dim, topics, seed=0):
        scores = np.hstack([scores, queries @ chunk.T])
        places = np.hstack([places, np.tile(np.arange(first, first + len(chunk)), (len(queries), 1))])
        best = np.argsort(-scores, axis=1)[:, :count]
        scores, places = np.take_along_axis(scores, best, 1), np.take_along_axis(places, best, 1)
        first += len(chunk)
    return places


def _vectors(count: int, dim: int, topics: int, seed: int) -> Iterator[Floats]:
    """Yield L2-normalised vectors in chunks."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(2).standard_normal((topics, dim), np.float32) if topics else None
    for start in range(0, count, CHUNK):
        rows = rng.standard_normal((min(CHUNK, count - start), dim), np.float32)
        if centres is not None:
            rows += centres[rng.integers(0, topics, len(rows))]
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        yield rows


if __name__ == "__main__":
    typer.run(main)
