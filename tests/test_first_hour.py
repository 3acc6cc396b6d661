"""The first hour with a release: someone has the wheel, an empty folder and no network."""

import http.client
import json
import os
import re
import shutil
import site
import subprocess
import sys
import venv
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from onnxrank.export.checkpoint.aliases import ALIASES
from tests import distribution

ROOT = Path(__file__).parent.parent
QUERY = "sort the values of an array along an axis"
DOCUMENTS = ("numpy.mean: average of an array", "numpy.sort: sort an array along an axis")
# Nobody listens there.
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A folder to work in, and the commands of an environment with the wheel."""

    folder: Path
    scripts: Path

    def environment(self) -> dict[str, str]:
        """Nothing of this checkout, no network, no files of the hub's client."""
        proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"), NOWHERE)
        return {
            "PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder.parent),
            "HF_HOME": str(self.folder.parent / "hub"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
            **proxies,
        }

    def run(self, *command: str) -> str:
        """Return what a command prints; its last lines of errors are in the failure."""
        done = subprocess.run(
            [self.scripts / command[0], *command[1:]],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def python(self, code: str, folder: str = ".") -> str:
        (self.folder / folder / "example.py").write_text(code, encoding="utf-8")
        return self.run(
            "python", "-W", "error", "-c", f"import os; os.chdir({folder!r}); exec(open('example.py').read())"
        )


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """With `demo` exported to q4, as the README's first command does."""
    # All processes of a test run use the same parent folder: one prepares, the others wait.
    shared = (
        tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else tmp_path_factory.mktemp("f")
    )
    place = shared / "first-hour"
    newcomer = Newcomer(folder=place / "empty", scripts=place / "venv" / "bin")
    with FileLock(f"{place}.lock"):
        if not (newcomer.folder / "artifacts" / "demo").exists():
            shutil.rmtree(place, ignore_errors=True)  # what a failure in another process left
            prepare(newcomer, place)
    return newcomer


def prepare(newcomer: Newcomer, place: Path) -> None:
    """Build the wheel, install it into a new environment, export the demo."""
    distribution.stage(place / "tree")
    distribution.build(place / "tree", place / "dist", 1_700_000_000)
    (wheel,) = (place / "dist").glob("*.whl")
    venv.create(place / "venv", with_pip=False)
    # The dependencies of this environment. Python reads no .pth file there, so an editable install stays out of sight.
    (own,) = (place / "venv" / "lib").glob("python*/site-packages")
    (own / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        newcomer.scripts / "python",
        "install",
        "--no-index",
        "--no-deps",
        wheel,
    ]
    subprocess.run(pip, check=True, capture_output=True)
    newcomer.folder.mkdir()
    where = newcomer.run(
        "python", "-c", "import onnxrank, onnxrank.export; print(onnxrank.__file__, onnxrank.export.__file__)"
    )
    assert all(Path(file).is_relative_to(own) for file in where.split())
    newcomer.run("export-model", "demo", "--q4")


def test_rank(newcomer: Newcomer) -> None:
    printed = newcomer.run("onnxrank", "rank", "artifacts/demo", QUERY, *DOCUMENTS)
    assert printed.index("numpy.sort") < printed.index("numpy.mean")


@pytest.mark.parametrize("command", ["verify", "info"])
def test_verify_and_info(newcomer: Newcomer, command: str) -> None:
    assert "q4" in newcomer.run("onnxrank", command, "artifacts/demo")


def test_the_readmes_example(newcomer: Newcomer) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = next(block for block in _python(readme) if "artifacts/demo" in block)
    first, _ = newcomer.python(example).splitlines()
    assert "sort an array along an axis" in first


def test_the_cards_example(newcomer: Newcomer) -> None:
    (example,) = _python((newcomer.folder / "artifacts" / "demo" / "README.md").read_text(encoding="utf-8"))
    newcomer.python(example, "artifacts")


def test_the_demo_page(newcomer: Newcomer) -> None:
    """It answers; a browser uses it in runtime/web/tests/browser/demo.test.js."""
    command: list[str | Path] = [newcomer.scripts / "onnxrank", "demo", "artifacts/demo", "--port", "0", "--no-open"]
    environment = {**newcomer.environment(), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=newcomer.folder, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            port = re.search(r"http://localhost:(\d+)/", line)
            assert port, line
            page = _get(int(port[1]), "/")
            assert b"A reranker sorts documents" in page
            for path in ("/src/web.js", "/demo.js", "/artifact/reranker.json", "/artifact/onnx/model_q4.onnx"):
                assert _get(int(port[1]), path)
        finally:
            server.terminate()


@pytest.mark.skipif("demo-retriever" not in ALIASES, reason="this package has no retriever for the demo")
def test_retrieve_and_rerank(newcomer: Newcomer) -> None:
    newcomer.run("export-model", "demo-retriever", "--q4")
    corpus = "\n".join(json.dumps({"text": text}) for text in DOCUMENTS)
    (newcomer.folder / "corpus.jsonl").write_text(corpus, encoding="utf-8")
    retriever = ["--retriever", "artifacts/demo-retriever"]
    newcomer.run("onnxrank", "index", "index", *retriever, "--corpus", "corpus.jsonl")
    found = newcomer.run("onnxrank", "search", "index", QUERY, *retriever, "--reranker", "artifacts/demo")
    assert found.index("numpy.sort") < found.index("numpy.mean")


def _python(markdown: str) -> Sequence[str]:
    return re.findall(r"```python\n(.*?)```", markdown, re.DOTALL)


def _get(port: int, path: str) -> bytes:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    assert response.status == 200, path
    return body
