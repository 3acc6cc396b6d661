"""The `export-model` command where packages are missing, where variants fail, and its version."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import onnxrank
from onnxrank.artifact.manifest import MANIFEST, read_manifest
from onnxrank.cli.app import app as onnxrank_app
from onnxrank.engine.pack import Pack
from onnxrank.engine.padded import PaddedGraph
from onnxrank.errors import LossError, ParityError
from onnxrank.export.cli import app as export_app
from onnxrank.export.main import PACKAGES
from onnxrank.export.options import Options
from onnxrank.export.proof.remedies import remedy
from tests.exports import export_tiny, write_checkpoint
from tests.test_layout import PROJECT
from tests.tiny_families import bert

# Runs a console script as if some packages were not installed.
WITHOUT = """
import sys
hidden = set(sys.argv[1].split(","))
class Hiding:
    def __init__(self, finder): self.finder = finder
    def __getattr__(self, name): return getattr(self.finder, name)
    def find_spec(self, name, *rest):
        return None if name.split(".")[0] in hidden else self.finder.find_spec(name, *rest)
sys.meta_path[:] = map(Hiding, sys.meta_path)
from importlib import import_module
module, name = sys.argv[2].split(":")
del sys.argv[:2]
getattr(import_module(module), name)()
"""
EXTRA = "torch,transformers,onnx,onnx_ir,onnxscript,safetensors,ml_dtypes,regex,jinja2,ir_measures"


def run_without(packages: str, script: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", WITHOUT, packages, PROJECT["project"]["scripts"][script], *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_packages_are_those_of_the_extra() -> None:
    extra = PROJECT["project"]["optional-dependencies"]["export"]
    assert sorted(PACKAGES) == sorted(line.split(">")[0].replace("-", "_") for line in extra)


@pytest.mark.parametrize("packages", [EXTRA, "torch", "onnx_ir"])
def test_without_the_extra_the_command_says_what_to_install(packages: str) -> None:
    done = run_without(packages, "export-model", "demo")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: export-model needs the exporter, and ")
    assert done.stderr.endswith(" is not installed: `pip install onnxrank[export]`.\n")
    assert done.stderr.count("\n") == 1


def test_without_the_extra_verify_against_a_checkpoint_says_so(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", bert)
    export_tiny(checkpoint, tmp_path / "out")
    assert run_without(EXTRA, "onnxrank", "verify", tmp_path / "out").returncode == 0
    done = run_without(EXTRA, "onnxrank", "verify", tmp_path / "out", "--against", checkpoint)
    assert done.returncode == 1
    assert done.stderr.startswith("error: PyTorch's scores need the exporter, and ")
    assert done.stderr.endswith(" is not installed: `pip install onnxrank[export]`.\n")
    assert done.stderr.count("\n") == 1


def test_both_commands_have_a_version() -> None:
    for app in (export_app, onnxrank_app):
        shown = CliRunner().invoke(app, ["--version"], catch_exceptions=False)
        assert (shown.exit_code, shown.stdout) == (0, f"onnxrank {onnxrank.__version__}\n")


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint whose q4 variant loses too much, because its weights are random and none of them keep 8 bits."""
    monkeypatch.setattr("onnxrank.export.artifact.variant_files.wide_matrices", lambda *_, **__: frozenset())
    return write_checkpoint(tmp_path / "checkpoint", bert)


REMEDY = (
    "; try a more precise variant (--int8 or --fp32), --calibration with texts like yours, --block-size 16, "
    "--keep-passing to write the others or --accept-loss to write it as it is."
)


def test_keep_passing_writes_the_variants_that_pass(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [str(checkpoint), "--out", str(out), "--q4", "--int8", "--json", "--keep-passing"]
    done = CliRunner().invoke(export_app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    # transformers' own progress goes there too, because the oracle runs in the tests' process.
    assert "warning: q4 is left out: q4 (padded, " in done.stderr and done.stderr.endswith(f"{REMEDY}\n")
    shown = json.loads(done.stdout)
    assert list(shown["manifest"]["variants"]) == ["int8"] and list(shown["failed"]) == ["q4"]
    assert list(read_manifest(out).variants) == ["int8"]
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {*read_manifest(out).files, MANIFEST} and not any("q4" in file for file in files)


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (["--q4", "--int8"], REMEDY),
        (["--q4", "--keep-passing"], "texts like yours, --block-size 16 or --accept-loss to write it as it is."),
    ],
)
def test_otherwise_nothing_is_written_and_the_message_says_what_to_do(
    checkpoint: Path, tmp_path: Path, arguments: Sequence[str], end: str
) -> None:
    figures = (
        r"^q4 \(padded, \d+ pairs\) loses too much: noise is 0\.\d+ \[[\d., ]+\] of the scores' deviation within a "
        r"query, which is 0\.\d+, and 0\.3 is allowed; Kendall's tau is 0\.\d+ and top-1 agreement \d+%; try "
    )
    with pytest.raises(LossError, match=figures) as caught:
        CliRunner().invoke(
            export_app, [str(checkpoint), "--out", str(tmp_path / "out"), *arguments], catch_exceptions=False
        )
    assert str(caught.value).endswith(end)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_an_accepted_loss_is_written_and_said_wherever_the_variant_is_shown(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [str(checkpoint), "--out", str(out), "--q4", "--int8", "--accept-loss"]
    done = CliRunner().invoke(export_app, arguments, catch_exceptions=False)
    sentence = "q4 loses more of PyTorch's ranking than the proof allows; it was written with --accept-loss."
    assert f"warning: {sentence}\n" in done.stderr and "int8 loses" not in done.stderr
    variants = read_manifest(out).variants
    assert {name: variant.accepted_loss for name, variant in variants.items()} == {"int8": False, "q4": True}
    assert f"**{sentence}**" in (out / "README.md").read_text(encoding="utf-8")
    assert sentence in CliRunner().invoke(onnxrank_app, ["info", str(out)], catch_exceptions=False).stdout
    assert CliRunner().invoke(onnxrank_app, ["verify", str(out)], catch_exceptions=False).exit_code == 0
    accepting = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    accepting["variants"]["q4"]["accepted_loss"] = False
    (out / MANIFEST).write_text(json.dumps(accepting), encoding="utf-8")
    with pytest.raises(LossError, match=r"^q4 .* loses too much: .*; export it again with .* or with --accept-loss\.$"):
        CliRunner().invoke(onnxrank_app, ["verify", str(out)], catch_exceptions=False)


def test_no_option_accepts_wrong_scores(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_each = PaddedGraph.run_each

    def lost(self: PaddedGraph, packs: Sequence[Pack]) -> Iterator[tuple[Pack, NDArray[np.float32]]]:
        for pack, logits in run_each(self, packs):
            yield pack, logits / np.float32(7)

    monkeypatch.setattr(PaddedGraph, "run_each", lost)
    with pytest.raises(
        ParityError, match=r"^int8 .* does not score like PyTorch: .* times PyTorch's, .*; try "
    ) as caught:
        CliRunner().invoke(
            export_app,
            [str(checkpoint), "--out", str(tmp_path / "out"), "--int8", "--accept-loss"],
            catch_exceptions=False,
        )
    assert not isinstance(caught.value, LossError) and "--accept-loss" not in str(caught.value)


def test_remedies_name_only_what_is_left_to_try() -> None:
    assert remedy("fp32", Options(), lossy=False) == "float32 should, so please report it with the checkpoint's name."
    calibrated = Options(variants=("int8",), calibration=Path("own.jsonl"))
    assert remedy("int8", calibrated, lossy=False) == "try a more precise variant (--fp16 or --fp32)."
    tried = Options(method="hqq", quality="fast", block_size=16, embedding_bits=4)
    assert remedy("q4", tried, lossy=True) == (
        "try a more precise variant (--int8 or --fp32), --method gptq, --embedding-bits 8 or --accept-loss to write it "
        "as it is."
    )
    assert "--quality best" in remedy("int8", Options(quality="fast"), lossy=True)
    assert "--quality" not in remedy("fp16", Options(quality="fast"), lossy=True)
