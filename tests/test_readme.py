"""Runs every block of the README, except lines that set up a machine or serve; tests/test_docs.py checks its tables and
links."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onnxrank.artifact.variants import PRECISIONS
from onnxrank.proof.tolerances import TOLERANCES
from tests.markdown import blocks, shell_lines, tables

README = Path(__file__).parent.parent / "README.md"
# CI runs the two make commands itself. The others install packages, or serve until they are stopped; the tests in
# runtime/web/ and tests/serve/ cover those.
ELSEWHERE = ("make demo ", "make test ", "pip install ", "onnxrank demo ", "onnxrank serve ")


@pytest.fixture(scope="module")
def place(demo_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(demo_artifact, folder / "artifacts" / "demo")
    return folder


def test_commands(place: Path) -> None:
    """In order, because some read what others wrote. The artifact is already there."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for line in shell_lines(README):
        if not line.startswith((*ELSEWHERE, "export-model demo ")):
            subprocess.run(["bash", "-c", line], cwd=place, env=environment, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("block", blocks(README, "python"))
def test_python(place: Path, block: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    exec(compile(block, "README.md", "exec"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("sort an array along an axis") and second.endswith("average of an array")


def test_every_elsewhere_line_is_still_there() -> None:
    for start in ELSEWHERE:
        assert any(line.startswith(start) for line in shell_lines(README))


def test_the_demo_comes_first_and_then_the_tests() -> None:
    first, second, *_ = shell_lines(README)
    assert first.startswith("make demo ") and second.startswith("make test ")


def test_the_first_table_chooses_among_all_variants() -> None:
    (chooser, *_) = tables(README)
    named = {option.strip("`-") for row in chooser[2:] for option in row[1].split()}
    assert named == set(PRECISIONS)


def test_the_tolerances_are_those_of_the_proof() -> None:
    text = " ".join(README.read_text().split())
    fp32, int8, q4 = (TOLERANCES[name] for name in ("fp32", "int8", "q4"))
    assert (
        f"fp32 may move a logit by {fp32.logit_difference:.4f}; int8's noise may be {int8.noise} of the scores' "
        f"deviation within a query, and q4's {q4.noise}" in text
    )


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
