"""A disk that is really full, at every stage of writing: one sentence says so, and what was there before is whole."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxrank import Cascade, Embedder, Reranker
from onnxrank.errors import OutputError
from onnxrank.export.proof import oracle
from tests.exports import score_here
from tests.fuzz.campaign import attempt, cases
from tests.fuzz.damage import DOCUMENTS, QUERY, export_small
from tests.fuzz.writers import CORPUS

SIZE = 8 << 20
STEPS: int = cases(short=4, share=40 / 2000).max_examples


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def with_less_and_less_space(disk: Path, subject: str, needed: int, write: Callable[[], object]) -> int:
    """Call `write` with free space from nothing to more than `needed`; return how often it succeeded."""
    filler, succeeded = disk / "filler", 0
    used = sum(path.stat().st_blocks * 512 for path in disk.rglob("*"))
    for step in range(STEPS):
        filler.write_bytes(b"\0" * (SIZE - used - int(step * 1.2 * needed / (STEPS - 1)) - 4096 * 8 * (step > 0)))

        def case() -> None:
            try:
                write()
            except OutputError:
                raise
            except Exception as error:
                raise AssertionError(f"{type(error).__name__}: {error}") from error

        succeeded += attempt(subject, case)
        filler.unlink()
    return succeeded


def test_exports(checkpoints: dict[str, Path], disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "ask", score_here)
    checkpoint, out = checkpoints["qwen3-reranker"], disk / "artifact"
    export_small(checkpoint, out, "qwen3-reranker")
    expected = logits(out)

    def write() -> None:
        try:
            export_small(checkpoint, out, "qwen3-reranker", force=True)
        finally:
            np.testing.assert_array_equal(logits(out), expected)
            assert {path.name for path in disk.iterdir()} == {"artifact", "filler"}

    size = sum(path.stat().st_size for path in out.rglob("*"))
    assert 0 < with_less_and_less_space(disk, "exports to a full disk", size, write) < STEPS


def test_saves(artifacts: dict[str, Path], disk: Path) -> None:
    cascade = Cascade(Embedder(artifacts["qwen3-embedding"], threads=1))
    cascade.index(CORPUS * 20)
    cascade.save(disk / "index")
    expected = cascade.retrieve(QUERY)

    def write() -> None:
        try:
            cascade.save(disk / "index")
        finally:
            cascade.load(disk / "index")
            assert cascade.retrieve(QUERY) == expected

    size = sum(path.stat().st_size for path in (disk / "index").iterdir())
    assert 0 < with_less_and_less_space(disk, "saves to a full disk", size, write) < STEPS


def test_prepacked_weights(artifacts: dict[str, Path], disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", disk)
    expected = logits(artifacts["qwen3-reranker"])

    def write() -> None:
        for path in disk.rglob("model.onnx*"):
            path.unlink()
        np.testing.assert_array_equal(logits(artifacts["qwen3-reranker"], memory="shared"), expected)

    write()
    size = sum(path.stat().st_size for path in disk.rglob("*"))
    for path in disk.rglob("model.onnx*"):
        path.unlink()
    assert 0 < with_less_and_less_space(disk, "prepacked weights on a full disk", size, write) < STEPS
    np.testing.assert_array_equal(logits(artifacts["qwen3-reranker"], memory="shared"), expected)


def logits(artifact: Path, **options: Any) -> Any:
    return Reranker(artifact, threads=1, **options).score([(QUERY, text) for text in DOCUMENTS]).logits
