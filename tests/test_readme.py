"""Runs every block of the README, except lines that set up a machine or need the hub."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
# CI runs the two make commands itself. The others install packages, download a model, or serve until they are stopped;
# the tests in runtime/web/ cover those.
ELSEWHERE = ("make demo ", "make test ", "pip install ", "export-model qwen3-reranker ", "onnxrank demo ")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found
    return found


def shell_lines() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if not line.startswith(ELSEWHERE)]


@pytest.fixture(scope="module")
def place(demo_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(demo_artifact, folder / "artifacts" / "demo")
    return folder


@pytest.mark.parametrize("line", shell_lines())
def test_commands(place: Path, line: str) -> None:
    command = shlex.split(line, comments=True)
    assert command[0] in ("export-model", "onnxrank")
    scripts = Path(sys.executable).parent
    subprocess.run([scripts / command[0], *command[1:]], cwd=place, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("block", blocks("python"))
def test_python(place: Path, block: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    exec(compile(block, "README.md", "exec"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("sort an array along an axis") and second.endswith("average of an array")


def test_every_elsewhere_line_is_still_there() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    for start in ELSEWHERE:
        assert any(line.startswith(start) for line in lines)


def test_the_variants_table_is_complete() -> None:
    from onnxrank.artifact.variants import PRECISIONS

    assert re.findall(r"^\| `--(\w+)` \|", README, re.MULTILINE) == list(PRECISIONS)


def test_the_demo_documents_are_ranked_sensibly(demo_artifact: Path) -> None:
    documents = Path(__file__).parent.parent / "docs" / "demo-documents.txt"
    scripts = Path(sys.executable).parent
    query = "sort the values of an array along an axis"
    command: list[str | Path] = [
        scripts / "onnxrank",
        "rank",
        demo_artifact,
        query,
        "--documents",
        documents,
        "--variant",
        "q4",
        "--json",
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout
    assert "sort" in output.split('"text": "')[1].split(":")[0]
