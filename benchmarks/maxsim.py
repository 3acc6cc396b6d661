"""Times MaxSim against BLAS on the same multiply-adds, interleaved: `python -m benchmarks.maxsim`."""

from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.timing import medians
from onnxrank import maxsim
from onnxrank.cli.console import show_json

# Document vectors in one product of the BLAS reference, whose result then fits the cache.
SLICE = 4096


def main(
    documents: Annotated[int, typer.Option(help="Documents, of 120 to 240 vectors.")] = 10_000,
    query_vectors: Annotated[int, typer.Option(help="Vectors of the query.")] = 32,
    dim: Annotated[int, typer.Option(help="Numbers in a vector.")] = 128,
    repeats: Annotated[int, typer.Option(help="Timings; the median counts.")] = 5,
) -> None:
    """Print seconds and their ratio as JSON."""
    show_json(against_blas(documents, query_vectors, dim, repeats))


def against_blas(documents: int, query_vectors: int, dim: int, repeats: int) -> dict[str, float]:
    """Return the seconds of MaxSim, of one product per slice, and their ratio."""
    rng = np.random.default_rng(0)
    query = _vectors(rng, query_vectors, dim)
    texts = [_vectors(rng, int(n), dim) for n in rng.integers(120, 241, documents)]
    together = np.concatenate(texts)

    def floor() -> None:
        for start in range(0, len(together), SLICE):
            query @ together[start : start + SLICE].T

    ours, blas = medians([lambda: maxsim(query, texts), floor], repeats)
    return {"seconds": round(ours, 3), "seconds_of_blas": round(blas, 3), "ratio": round(ours / blas, 2)}


def _vectors(rng: np.random.Generator, count: int, dim: int) -> NDArray[np.float32]:
    rows = rng.standard_normal((count, dim), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


if __name__ == "__main__":
    typer.run(main)
