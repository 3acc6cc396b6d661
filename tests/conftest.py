"""Fixtures shared by all tests: exported artifacts, real tokenizers, a local stand-in for the hub."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from onnxrank.engine import session
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import Options
from onnxrank.export.proof import oracle
from onnxrank.export.proof.oracle import ask
from onnxrank.progress import progress
from tests.exports import few_golden_pairs, score_here
from tests.stand_in_hub import StandInHub
from tests.tiny import write_tiny

BUILD = Path(__file__).parent.parent / "build"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # One process exports the demo, which takes a minute, while others run tests that do not need it.
    demo = [item for item in items if "demo_artifact" in getattr(item, "fixturenames", ())]
    others = [item for item in items if item not in demo]
    items[:] = [*demo[:1], *others, *demo[1:]]
    if "network" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("network"):
            item.add_marker(pytest.mark.skip(reason="needs the real hub; run with -m network"))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Use one thread per session if tests run in parallel, because sessions would compete for the same cores."""
    with pytest.MonkeyPatch.context() as patch:
        if "PYTEST_XDIST_WORKER" in os.environ:
            options = session.session_options
            patch.setattr(session, "session_options", lambda threads: options(1))
        yield


@pytest.fixture(autouse=True, scope="session")
def oracle_at_hand() -> Iterator[None]:
    """Run PyTorch in the tests' own process; commands that tests start still use a separate one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "ask", score_here)
        yield


@pytest.fixture(autouse=True, scope="session")
def short_proofs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prove exports on few golden pairs; commands that tests start still use all."""
    with few_golden_pairs(tmp_path_factory.mktemp("golden")):
        yield


@pytest.fixture
def oracle_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run PyTorch in a separate process, as exports do."""
    monkeypatch.setattr(oracle, "ask", ask)


@pytest.fixture(scope="session")
def qwen3_tokenizer() -> Path:
    """The real Qwen3 tokenizer.json, which `make test` fetches."""
    return fetched("qwen3-tokenizer")


@pytest.fixture(scope="session")
def gemma2_tokenizer() -> Path:
    """The real Gemma 2 tokenizer.json, which mmBERT uses too; `make test` fetches it."""
    return fetched("gemma2-tokenizer")


def fetched(name: str) -> Path:
    path = BUILD / name / "tokenizer.json"
    if not path.exists() and not os.environ.get("CI"):
        pytest.skip(f"{path} is not there; `make test` fetches it where npm is installed")
    return path


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="session")
def demo_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo checkpoint in every variant; read only."""
    variants = ("fp32", "fp16", "int8", "q4", "q4f16")
    # All processes of a test run use the same parent folder: one exports, the others wait.
    shared = (
        tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else tmp_path_factory.mktemp("s")
    )
    out = shared / "demo-artifact"
    with FileLock(f"{out}.lock"):
        if not out.exists():
            export(locate("demo"), out, family=None, options=Options(variants=variants), force=False, progress=progress)
    return out


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """A local stand-in for the model hub, with an empty cache for the client."""
    with running_hub(tmp_path / "repositories") as server:
        server.use(monkeypatch, cache=tmp_path / "cache")
        yield server


@contextmanager
def running_hub(folder: Path) -> Iterator[StandInHub]:
    server = StandInHub(folder)
    try:
        yield server
    finally:
        server.close()
