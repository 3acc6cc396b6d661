"""Processes that are killed while they write: what was there before is whole, and the next writer cleans up."""

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxrank import Cascade, Embedder, Reranker
from onnxrank.export.proof import oracle
from tests.exports import score_here
from tests.fuzz.campaign import attempt, cases
from tests.fuzz.damage import DOCUMENTS, QUERY, export_small
from tests.fuzz.writers import CORPUS, write_artifact, write_index

MOMENTS: int = cases(short=3, share=30 / 2000).max_examples


@pytest.fixture(scope="module")
def forks() -> Iterator[Any]:
    """Starts processes that have their imports already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fuzz.writers"])
    yield context


def killed(forks: Any, work: Callable[[Path, Path], None], source: Path, out: Path, delay: float) -> None:
    process = forks.Process(target=work, args=(source, out))
    process.start()
    process.join(delay)
    process.kill()
    process.join()


def seconds(forks: Any, work: Callable[[Path, Path], None], source: Path, out: Path) -> float:
    """Return how long a process takes that is not killed."""
    spent = 0.0
    for _ in range(2):  # the first one waits for the imports
        process = forks.Process(target=work, args=(source, out))
        start = time.monotonic()
        process.start()
        process.join()
        spent = time.monotonic() - start
        assert process.exitcode == 0
    return spent


def test_killed_exports(
    forks: Any, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint, out = checkpoints["qwen3-reranker"], tmp_path / "artifact"
    longest = seconds(forks, write_artifact, checkpoint, out)
    expected = logits(out)
    chance = random.Random(0)
    for _ in range(MOMENTS):
        killed(forks, write_artifact, checkpoint, out, chance.uniform(0, longest))
        attempt("killed exports", lambda: np.testing.assert_array_equal(logits(out), expected))
    monkeypatch.setattr(oracle, "ask", score_here)
    export_small(checkpoint, out, "qwen3-reranker", force=True)
    np.testing.assert_array_equal(logits(out), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]


def test_killed_saves(forks: Any, artifacts: dict[str, Path], tmp_path: Path) -> None:
    retriever, out = artifacts["qwen3-embedding"], tmp_path / "index"
    longest = seconds(forks, write_index, retriever, out)
    cascade = Cascade(Embedder(retriever, threads=1))
    cascade.load(out)
    expected = cascade.retrieve(QUERY)
    chance = random.Random(0)

    def whole() -> None:
        cascade.load(out)
        assert cascade.texts == CORPUS and cascade.retrieve(QUERY) == expected

    for _ in range(MOMENTS):
        killed(forks, write_index, retriever, out, chance.uniform(0.2, 1) * longest)
        attempt("killed saves", whole)
    cascade.save(out)
    whole()
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def logits(artifact: Path) -> Any:
    return Reranker(artifact, threads=1).score([(QUERY, text) for text in DOCUMENTS]).logits
