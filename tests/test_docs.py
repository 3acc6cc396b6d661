"""Runs the code on the pages under docs/, with tiny checkpoints under the names that the pages use."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

import onnxrank
from onnxrank.cli.app import app as onnxrank_app
from onnxrank.export.cli import app as export_app
from onnxrank.proof.parity import PARITY_COLUMNS
from onnxrank.proof.tolerances import EXACT, GAIN, OUTLIER, SHOWING, TOLERANCES
from onnxrank.proof.verification import SAMPLE
from tests.exports import export_tiny, write_checkpoint
from tests.markdown import PAGES, ROOT, anchor, blocks, headings, links, shell_lines, tables, tokens_of
from tests.tiny_families import TINY

APPS = {"onnxrank": onnxrank_app, "export-model": export_app}
# Lines that install packages, download a model, or serve until they are stopped. tests/test_readme.py exports the demo.
LINES_ELSEWHERE = (
    "pip install ",
    "export-model demo ",
    "export-model qwen3-reranker ",
    "export-model BAAI/",
    "export-model cross-encoder/",
    # tests/runtime/artifact/test_publishing.py has a stand-in for the hub.
    "onnxrank push ",
    "onnxrank pull ",
    "onnxrank serve ",
)
# Blocks of other products, on the pages about migration and serving.
BLOCKS_ELSEWHERE = (
    "from sentence_transformers import ",
    "from FlagEmbedding import ",
    "from flashrank import ",
    "import requests\n",
    "import cohere\n",
)
ELSEWHERE = ("docs/migrate.md", "docs/serving.md")
# tests of runtime/web/ cover JavaScript; the others show what files hold.
LANGUAGES = {"python", "sh", "js", "json", ""}
STAND_INS = {
    "matrix-v6-reranker": "matrix-v6",
    "mmbert-rerank": "mmbert, legacy",
    "reason-mxbai-colbert": "colbert, mean",
    "qwen3-embedding": "qwen3-embedding",
}
# One artifact under several names: none of the pages depends on what its scores are.
SAME = ("demo", "qwen3-reranker", "bge-reranker-v2-m3", "ms-marco-minilm", "two-variants")
# The tiny model has other exits.
CHANGED = {"layers=6, dim=256": "layers=2, dim=32"}
FILES = {
    "docs.txt": "sort(a): sorts an array\nmean(a): average of an array\n",
    "capabilities.jsonl": "".join(
        json.dumps({"id": name, "name": name, "description": f"It does {name}."}) + "\n"
        for name in ("pdf-to-markdown", "weather-now")
    ),
    "corpus.jsonl": '{"id": "pdf-to-markdown", "text": "Convert PDF documents into Markdown."}\n{"text": "Mean."}\n',
    "my.jsonl": json.dumps({"query": "convert a pdf", "documents": ["PDF to Markdown", "mean"], "relevance": [1, 0]})
    + "\n",
    "pairs.jsonl": json.dumps({"query": "convert a pdf", "document": "PDF to Markdown"}) + "\n",
    "queries.jsonl": json.dumps({"query": "convert a pdf", "relevant": "pdf-to-markdown"}) + "\n",
}
DOCUMENTS = {name: ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")} | PAGES
# tests/runtime/integrations runs the code of these, where the frameworks are installed.
PAGES_ELSEWHERE = ("docs/clusters.md", "docs/deploy.md", "docs/integrations.md")
CODE = [
    (name, i, block)
    for name, path in PAGES.items()
    if name not in PAGES_ELSEWHERE
    for i, block in enumerate(blocks(path, "python"))
]
LINES = [(name, line) for name, path in PAGES.items() for line in shell_lines(path)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("docs")
    for name, content in FILES.items():
        (folder / name).write_text(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", folder / "assets")
        for alias, name in STAND_INS.items():
            checkpoint = write_checkpoint(folder / "checkpoints" / alias, TINY[name].write)
            export_tiny(checkpoint, folder / "artifacts" / alias, **TINY[name].options.given())  # type: ignore[arg-type]
        finetune = write_checkpoint(folder / "my-finetune", TINY["qwen3-reranker"].write)
        first, *others = (folder / "artifacts" / name for name in SAME)
        export_tiny(finetune, first, family="qwen3-reranker", variants=("int8", "q4"))
        for other in others:
            shutil.copytree(first, other)
        yield folder


@pytest.mark.parametrize(
    ("page", "number", "block"), [part for part in CODE if not part[2].startswith(BLOCKS_ELSEWHERE)]
)
def test_python(place: Path, page: str, number: int, block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for shown, here in CHANGED.items():
        block = block.replace(shown, here)
    if "__main__" in block:
        script = place / "script.py"
        script.write_text(block)
        environment = {**os.environ, "HF_ASSETS_CACHE": str(place / "assets")}
        subprocess.run([sys.executable, script], cwd=place, check=True, stdout=subprocess.DEVNULL, env=environment)
        return
    monkeypatch.chdir(place)
    exec(compile(block, page, "exec"), {})


@pytest.mark.parametrize("page", sorted({page for page, _ in LINES}))
def test_commands(place: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a page's in order, because some read what others wrote."""
    monkeypatch.chdir(place)
    # Its checkpoints have random weights, whose scores lie close together.
    monkeypatch.setitem(TOLERANCES, "q4", replace(TOLERANCES["q4"], noise=0.8))
    for line in shell_lines(PAGES[page]):
        if line.startswith(LINES_ELSEWHERE):
            continue
        name, *arguments = shlex.split(line, comments=True)
        # A reader's folder has no artifact of that name yet.
        arguments += ["--force"] if name == "export-model" else []
        result = CliRunner().invoke(APPS[name], arguments, catch_exceptions=False)
        assert result.exit_code == 0, f"{line}\n{result.output}"


def test_everything_elsewhere_is_still_there() -> None:
    for start in LINES_ELSEWHERE:
        assert any(line.startswith(start) for _, line in LINES), start
    for start in BLOCKS_ELSEWHERE:
        assert any(block.startswith(start) and page in ELSEWHERE for page, _, block in CODE), start
    for shown in CHANGED:
        assert any(shown in block for _, _, block in CODE), shown


@pytest.mark.parametrize("page", DOCUMENTS)
def test_structure(page: str) -> None:
    """Tables have as many cells in each row as in the header, no heading level is skipped, and blocks are of a language
    that a test knows."""
    path = DOCUMENTS[page]
    for rows in tables(path):
        assert {len(row) for row in rows} == {len(rows[0])}, f"{page}: {rows[0]}"
        # GitHub needs the backslash, and MkDocs shows it.
        assert not any("\\|" in cell for row in rows for cell in row), f"{page}: {rows[0]}"
    levels = [level for level, _ in headings(path)]
    assert levels.count(1) == (0 if "--8<--" in path.read_text() else 1)
    for before, after in zip([0, *levels], levels, strict=False):
        assert after <= before + 1, f"{page} skips a level after {before}"
    for token in tokens_of(path.read_text()):
        assert token.type != "fence" or token.info in LANGUAGES, f"{page} has a block of {token.info}"


@pytest.mark.parametrize("page", DOCUMENTS)
def test_links(page: str) -> None:
    path = DOCUMENTS[page]
    for address in links(path):
        if re.match(r"[a-z]+:", address):
            continue
        file, _, place = address.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{page} links to {address}"
        # The site has nothing of the other folders.
        assert page not in PAGES or target.parent == ROOT / "docs", f"{page} links to {address}"
        assert not place or place in {anchor(text) for _, text in headings(target)}, f"{page} links to {address}"


def test_every_page_is_in_the_navigation() -> None:
    settings = (ROOT / "mkdocs.yml").read_text()
    assert sorted(re.findall(r"^  - [^:]+: (\S+\.md)$", settings, re.MULTILINE)) == sorted(
        Path(page).name for page in PAGES
    )


def test_every_alias_is_on_the_page() -> None:
    from onnxrank.export.checkpoint.aliases import ALIASES

    text = PAGES["docs/models.md"].read_text()
    for name in ALIASES:
        assert name.startswith("demo") or f"`{name}`" in text or f"`{name.removeprefix('qwen3-reranker')}`" in text


def test_every_family_is_on_the_page() -> None:
    from onnxrank.export.families import FAMILIES

    text = PAGES["docs/export.md"].read_text()
    assert all(f"`{name}` |" in text for name in FAMILIES)


def test_the_variants_table_is_complete() -> None:
    (variants, *_) = tables(PAGES["docs/variants.md"])
    assert [row[0] for row in variants[2:]] == [f"`--{name}`" for name in TOLERANCES]


def test_the_tolerances_are_those_of_the_proof() -> None:
    (tolerances, *_) = tables(PAGES["docs/fidelity.md"])
    for row, (name, tolerance) in zip(tolerances[2:], TOLERANCES.items(), strict=True):
        exact = tolerance.logit_difference is not None
        limits = [tolerance.logit_difference, tolerance.batch_effect]
        first, effect = (
            "-" if limit is None else f"{limit:.4f}" if exact else f"{limit} deviations" for limit in limits
        )
        noise = "-" if tolerance.noise is None else str(tolerance.noise)
        assert row == [f"`{name}`", first, effect, noise, tolerance.reason]
    text = " ".join(PAGES["docs/fidelity.md"].read_text().split())
    low, high = GAIN
    assert f"stay between {low:.2f} and {high:.0f} times PyTorch's" in text
    assert f"more than {OUTLIER:.0f} times the root mean square of all, and at least {SHOWING} deviations" in text
    assert f"closer than {EXACT:.4f}" in text and f"The first {SAMPLE} are" in text


def test_the_page_names_every_column_of_the_parity_table() -> None:
    _, columns, *_ = tables(PAGES["docs/fidelity.md"])
    # A table's cell in Markdown cannot hold the bars of an absolute value.
    assert [row[0] for row in columns[2:]] == [name.replace("|", "") for name in PARITY_COLUMNS[2:]]


def test_every_argument_of_crossencoder_is_on_the_page() -> None:
    from onnxrank.cross_encoder import INSTEAD, WITHOUT_EFFECT

    text = PAGES["docs/migrate.md"].read_text()
    assert all(f"`{name}`" in text for name in [*INSTEAD, *WITHOUT_EFFECT])


def test_the_reference_has_every_public_name() -> None:
    shown = re.findall(r"^::: (\S+)$", PAGES["docs/api.md"].read_text(), re.MULTILINE)
    for name in shown:
        module, _, last = name.rpartition(".")
        assert hasattr(import_module(module), last), name
    errors = {name for name in onnxrank.__all__ if name.endswith("Error")}
    assert {f"onnxrank.{name}" for name in onnxrank.__all__} - {f"onnxrank.{name}" for name in errors} - set(shown) == {
        "onnxrank.__version__"
    }
    assert onnxrank.errors.__doc__ and all(name in onnxrank.errors.__doc__ for name in errors)


def test_argument_lines_of_docstrings_become_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("griffe", reason="the extra `docs` is not installed")
    monkeypatch.syspath_prepend(ROOT / "docs")
    with_lists = import_module("argument_lists").with_lists
    found = with_lists("Open it.\n\nlayers, dim: exit and\n    width.\nthreads: cores.\nRaises InputError: never.")
    assert found == (
        "Open it.\n\n\n- `layers`, `dim`: exit and\n    width.\n- `threads`: cores.\n\nRaises InputError: never."
    )
