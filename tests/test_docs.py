"""Runs the code on the pages under docs/, with tiny checkpoints under the names that the pages use."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import TINY

MODELS = (Path(__file__).parent.parent / "docs" / "models.md").read_text()
STAND_INS = {
    "matrix-v6-reranker": "matrix-v6",
    "mmbert-rerank": "mmbert, legacy",
    "reason-mxbai-colbert": "colbert, mean",
    "qwen3-embedding": "qwen3-embedding",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", MODELS, re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    for alias, name in STAND_INS.items():
        checkpoint = write_checkpoint(folder / "checkpoints" / alias, TINY[name].write)
        export_tiny(checkpoint, folder / "artifacts" / alias, **TINY[name].options.given())  # type: ignore[arg-type]
    corpus = [{"id": n, "name": n, "description": f"It does {n}."} for n in ("pdf-to-markdown", "weather-now")]
    (folder / "capabilities.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text(json.dumps({"query": "convert a pdf", "relevant": "pdf-to-markdown"}))
    return folder


@pytest.mark.parametrize("block", blocks("python"))
def test_python(place: Path, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    # The tiny model has other exits.
    exec(compile(block.replace("layers=6, dim=256", "layers=2, dim=32"), "models.md", "exec"), {})


def test_commands(place: Path) -> None:
    """Run in order, because the second reads what the first wrote."""
    lines = [line for block in blocks("sh") for line in block.splitlines() if not line.startswith("pip install ")]
    assert len(lines) == 3
    for line in lines:
        command = shlex.split(line)
        subprocess.run(
            [Path(sys.executable).parent / command[0], *command[1:]],
            cwd=place, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def test_every_alias_is_on_the_page() -> None:
    from onnxrank.export.checkpoint.aliases import ALIASES

    for name in ALIASES:
        assert name == "demo" or f"`{name}`" in MODELS or f"`{name.removeprefix('qwen3-reranker')}`" in MODELS
