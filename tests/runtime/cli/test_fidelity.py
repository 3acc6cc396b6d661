"""`onnxrank fidelity`: tiny checkpoints on one's own pairs, against PyTorch."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from onnxrank.artifact.manifest import read_manifest, write_manifest
from onnxrank.cli.app import app
from onnxrank.errors import BackendError, InputError, OutputError
from onnxrank.reranker import Reranker
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import TINY

LINES: list[dict[str, Any]] = [
    {"query": "sort an array", "documents": ["sort(a): sorts", "mean(a)", "Bread.", "det"], "relevance": [2, 1, 0, 0]},
    {"query": "the capital of China", "document": "Beijing is the capital.", "relevance": 1},
    {"query": "the capital of China", "document": "Bread is baked from flour.", "relevance": 0},
    {"query": "gravity", "documents": ["Gravity attracts bodies. " * 400, "Gravity attracts bodies. " * 401, "bread"]},
    {"query": "alone", "document": "a single document has no rank"},
]
PERFECT = {"kendall_tau": 1, "top1_agreement": 1, "flips": 0, "rank_biased_overlap": 1}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["fidelity", *map(str, arguments)], catch_exceptions=False)


def measured(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def made(folder: Path, name: str, *variants: str) -> Path:
    """Return the artifact of a tiny checkpoint; the checkpoint is beside it."""
    checkpoint = write_checkpoint(folder / "checkpoint", TINY[name].write)
    options: Any = TINY[name].options.given()
    export_tiny(checkpoint, folder / "out", family=TINY[name].family, variants=variants, **options)
    return folder / "out"


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("fidelity"), "qwen3-reranker", "fp32", "q4")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write(tmp_path, *LINES)


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "my.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_fp32_ranks_like_pytorch_and_q4_less_so(artifact: Path, pairs: Path) -> None:
    found = measured(artifact, "--against", artifact.parent / "checkpoint", "--pairs", pairs)
    fp32, q4 = found["variants"]["fp32"], found["variants"]["q4"]
    assert (fp32["queries"], fp32["pairs"]) == (3, 9)
    assert fp32["noise"]["high"] < 1e-4
    assert {name: fp32[name]["mean"] for name in PERFECT} == pytest.approx(PERFECT)
    assert fp32["ndcg@10_difference"] == {"mean": 0, "low": 0, "high": 0}
    assert 0.01 < q4["noise"]["low"] < q4["noise"]["mean"] < q4["noise"]["high"]
    assert q4["megabytes"] < fp32["megabytes"]
    assert found["reference"]["labelled_queries"] == 2 and 0 < found["reference"]["ndcg@10"] <= 1


def test_the_table_the_plot_and_saved_scores(artifact: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = pairs.parent
    # The checkpoint's folder is here: no --against.
    monkeypatch.chdir(artifact.parent)
    shown = run(
        artifact, "--pairs", pairs, "--save-reference", place / "pytorch.json", "--plot", place / "plot.svg",
        "--progress",
    )  # fmt: skip
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.stdout.splitlines() if line[0] == "│"]
    assert [row[0] for row in rows] == ["PyTorch", "fp32", "q4"]
    size = read_manifest(artifact)
    assert rows[1][1] == f"{sum(size.files[f].bytes for f in size.variants['fp32'].files) / 1e6:,.1f}"
    assert rows[1][2:] == [
        "0.0000 [0.0000, 0.0000]", "1.0000", "100.0%", "0.000%", "1.0000", "+0.00 [+0.00, +0.00]"
    ]  # fmt: skip
    assert rows[0][-1].endswith("(2 queries)")
    assert "3 queries, 9 documents" in shown.stdout
    assert "scoring with PyTorch: 9 of 9" in shown.stderr and "scoring with q4: 9 of 9" in shown.stderr
    assert (place / "plot.svg").read_text().count('<g id="axes_') == 2
    # Without PyTorch, and only what is asked for.
    monkeypatch.setattr("onnxrank.proof.verification.entry_points", lambda group: [])
    again = run(artifact, "--pairs", pairs, "--reference", place / "pytorch.json", "--variant", "q4")
    assert [line for line in again.stdout.splitlines() if "│ q4" in line] == [
        line for line in shown.stdout.splitlines() if "│ q4" in line
    ]
    assert "│ fp32" not in again.stdout


def test_an_instruction_reaches_both_sides(artifact: Path, tmp_path: Path) -> None:
    line = LINES[0]
    pairs = write(tmp_path, {**line, "instruction": "Find recipes."}, line)
    saved = tmp_path / "pytorch.json"
    found = measured(
        artifact, "--against", artifact.parent / "checkpoint", "--pairs", pairs, "--variant", "fp32",
        "--save-reference", saved,
    )  # fmt: skip
    assert found["variants"]["fp32"]["queries"] == 2
    assert found["variants"]["fp32"]["noise"]["high"] < 1e-4
    logits = [pair["logits"] for pair in json.loads(saved.read_text())["pairs"]]
    assert np.abs(np.subtract(logits[:4], logits[4:])).min() > 1e-3


@pytest.mark.parametrize(
    ("name", "options"),
    [("mmbert, legacy", ["--layers", "2", "--dim", "32"]), ("colbert, attending", []), ("qwen3-embedding", [])],
)
def test_exits_and_similarities_are_compared(name: str, options: list[str], tmp_path: Path, pairs: Path) -> None:
    folder = made(tmp_path / "artifact", name, "fp32")
    found = measured(folder, "--against", folder.parent / "checkpoint", "--pairs", pairs, *options)
    assert found["variants"]["fp32"]["noise"]["high"] < 1e-3
    assert found["variants"]["fp32"]["kendall_tau"]["mean"] == 1
    if options:
        return
    with pytest.raises(InputError, match=r"layers is 2, and this model has one exit and one width"):
        run(folder, "--pairs", pairs, "--layers", "2")
    if name.startswith("colbert"):
        with pytest.raises(InputError, match=r"my.jsonl gives the instruction 'x', and this model takes none"):
            run(folder, "--pairs", write(tmp_path, {**LINES[0], "instruction": "x"}))


def test_what_cannot_be_compared_is_one_sentence(
    artifact: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = (artifact, "--pairs", pairs)
    shown = run(*ask)
    assert shown.exit_code == 2 and "exported from the folder checkpoint, which is not here; name it" in shown.stderr
    assert run(*ask, "--reference", pairs, "--against", "demo").exit_code == 2
    with pytest.raises(InputError, match=r"plot\.pdf is no name for a plot; end it in \.svg or \.png"):
        run(*ask, "--plot", tmp_path / "plot.pdf")
    with pytest.raises(InputError, match=r"my\.jsonl cannot be read .*; write it again with --save-reference"):
        run(*ask, "--reference", pairs)
    with pytest.raises(InputError, match=r"has one document for each query, which is no ranking"):
        run(artifact, "--pairs", write(tmp_path, LINES[-1]))
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    with pytest.raises(BackendError, match=r"plots need matplotlib, .*`pip install onnxrank\[plot\]`"):
        run(*ask, "--plot", tmp_path / "plot.svg")


def test_saved_scores_must_be_of_this_model_and_these_pairs(artifact: Path, pairs: Path, tmp_path: Path) -> None:
    saved = tmp_path / "pytorch.json"
    manifest = read_manifest(artifact)
    content = {
        "checkpoint": "c", "family": manifest.family, "options": manifest.options, "oracle": {},
        "pairs": [
            {"query": "sort an array", "document": text, "instruction": None, "logits": [score]}
            for text, score in (("mean(a)", 1.0), ("det", 0.0))
        ],
    }  # fmt: skip
    ask = (artifact, "--pairs", pairs, "--variant", "fp32", "--reference", saved)

    saved.write_text(json.dumps(content))
    shown = run(*ask)
    assert "7 documents without a score of PyTorch's were left out" in shown.stderr
    assert "1 queries, 2 documents" in shown.stdout
    saved.write_text(json.dumps({**content, "pairs": []}))
    with pytest.raises(InputError, match=r"PyTorch's scores are of other queries"):
        run(*ask)
    saved.write_text(json.dumps({**content, "options": {"max_length": 7}}))
    with pytest.raises(InputError, match=r"with the options \{'max_length': 7\}, and this artifact is a"):
        run(*ask)
    content["pairs"] = [{"query": "q", "document": "d", "instruction": None, "logits": []}]
    saved.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"lacks some of the 1 logits of a pair"):
        run(*ask)


def test_files_that_cannot_be_written(artifact: Path, pairs: Path, tmp_path: Path) -> None:
    checkpoint = artifact.parent / "checkpoint"
    ask = (artifact, "--against", checkpoint, "--pairs", write(tmp_path, *LINES[1:3]), "--variant", "q4")
    for option, name in (("--save-reference", "pytorch.json"), ("--plot", "plot.png")):
        with pytest.raises(OutputError, match=rf"none/{name} cannot be written .*; choose another file"):
            run(*ask, option, tmp_path / "none" / name)


def test_the_source_is_scored_at_the_revision_of_the_export(
    artifact: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    def oracle(manifest: Any, golden: Any, checkpoint: str, *, revision: str | None, **_: Any) -> Any:
        asked.append((checkpoint, revision))
        return golden

    monkeypatch.setattr("onnxrank.cli.pytorch.repeat_oracle", oracle)
    manifest = read_manifest(artifact)
    for file in artifact.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "reranker.json").unlink()
    for id_, revision in (("owner/name", "abc"), ("onnxrank/demo", None)):
        write_manifest(replace(manifest, source=replace(manifest.source, id=id_, revision=revision)), tmp_path)
        assert run(tmp_path, "--pairs", pairs, "--variant", "fp32").exit_code == 0
    run(tmp_path, "--pairs", pairs, "--variant", "fp32", "--against", "other/name")
    assert asked == [("owner/name", "abc"), ("demo", None), ("other/name", None)]


def test_long_documents_are_cut_alike(artifact: Path) -> None:
    """The pairs above hold two documents that differ behind the cut only."""
    text = LINES[3]["documents"]
    assert Reranker(artifact, variant="fp32").score([("gravity", text[0])]).truncated.all()
