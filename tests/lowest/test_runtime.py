"""The runtime alone, on the oldest releases of its dependencies that pyproject.toml allows."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from onnxrank import Reranker
from onnxrank.artifact.golden import read_golden
from tests.stand_in_hub import StandInHub

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "artifacts" / "demo"
COMMANDS = ["rank", "verify", "fidelity", "info", "long-documents", "index", "search", "evaluate", "demo"]
COMMANDS += ["score", "push", "pull", "triton"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "onnxrank", *arguments], capture_output=True, text=True, check=False
    )


def test_these_are_the_oldest_releases() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["cpu"]]:
        name, floor = requirement.split(">=")
        assert re.match(rf"{re.escape(floor)}(\.0)*$", version(name)), f"{name} is {version(name)}"
    assert not importlib.util.find_spec("torch") and not importlib.util.find_spec("onnx")


def test_the_demo_scores_as_it_was_exported() -> None:
    verified = run("verify", str(DEMO))
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    shown = run(command, "--help")
    assert shown.returncode == 0 and "Usage" in shown.stdout, shown.stderr


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    server = StandInHub(tmp_path / "repositories")
    server.use(monkeypatch, cache=tmp_path / "cache")
    yield server
    server.close()


def test_an_artifact_comes_from_the_hub(hub: StandInHub) -> None:
    shutil.copytree(DEMO, hub.folder / "owner" / "demo")
    pair = next((pair.query, pair.document) for pair in read_golden(DEMO).scored)
    assert Reranker("owner/demo").predict(pair) == Reranker(DEMO).predict(pair)
