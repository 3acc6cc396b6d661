"""The whole export: from checkpoint to artifact to scores, and everything that stops it."""

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import onnxrank.proof.tolerances
from onnxrank import Reranker
from onnxrank.artifact.golden import read_golden
from onnxrank.artifact.manifest import Manifest, read_manifest
from onnxrank.artifact.variants import PRECISIONS
from onnxrank.cli.app import app as onnxrank_app
from onnxrank.errors import RerankError
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.cli import app as export_app
from onnxrank.export.exporter import export
from onnxrank.export.options import FamilyOptions, Options
from onnxrank.export.proof.oracle import record
from onnxrank.progress import progress
from onnxrank.proof.tolerances import Tolerance
from onnxrank.proof.verification import repeat_oracle
from tests.tiny import DEMO


def run(
    source: Path | str,
    out: Path,
    *,
    force: bool = False,
    family: str | None = "qwen3-reranker",
    max_length: int | None = None,
    **options: Any,
) -> Manifest:
    chosen = Options(**options, family=FamilyOptions(max_length=max_length))
    return export(locate(str(source)), out, family=family, options=chosen, force=force, progress=progress)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy of the demo checkpoint without its evaluation set, to be damaged."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("*.jsonl", "__pycache__", "__init__.py"))
    return folder


def test_the_demo_is_proven_in_every_variant(demo_artifact: Path) -> None:
    manifest = read_manifest(demo_artifact)
    assert list(manifest.variants) == ["fp32", "fp16", "int8", "q4", "q4f16"]
    limits = {"fp32": 1e-4, "fp16": 0.02, "int8": 0.1, "q4": 0.3, "q4f16": 0.3}
    for name, variant in manifest.variants.items():
        assert not variant.accepted_loss
        for parity in variant.parity.values():
            assert 0 < parity.noise.low <= parity.noise.mean <= parity.noise.high < 2 * limits[name]
            assert parity.noise.mean < limits[name] and parity.gain.mean == pytest.approx(1, abs=0.1)
            assert parity.ndcg_points and parity.ndcg_points.low <= 0 <= parity.ndcg_points.high
    assert set(manifest.variants["q4"].parity) == {"padded", "prefix"}
    assert "residual stream" in manifest.variants["q4f16"].kept_float32


def test_golden_pairs_span_languages_lengths_and_truncation(demo_artifact: Path) -> None:
    golden = read_golden(demo_artifact)
    texts = "".join(pair.query + pair.document for pair in golden.scored)
    assert {"LATIN", "CJK", "CYRILLIC", "ARABIC"} <= {unicodedata.name(char, "?").split()[0] for char in texts}
    assert "" in {pair.document for pair in golden.scored}
    lengths = {len(pair.token_ids) for pair in golden.scored}
    assert len([n for n in lengths if n < 128]) > 10 and any(256 < n < 700 for n in lengths)
    # The longest is cut, and only tokenized.
    longest = read_manifest(demo_artifact).scoring.max_length
    assert [pair.logits for pair in golden.pairs if len(pair.token_ids) == longest] == [None]
    assert golden.oracle["dtype"] == "float32"


def test_ranking_quality_beats_bm25_in_every_variant(demo_artifact: Path) -> None:
    card = (demo_artifact / "README.md").read_text()
    bm25 = float(card.split("| BM25 | ")[1].split(" ")[0])
    for variant in read_manifest(demo_artifact).variants.values():
        assert variant.evaluation and variant.evaluation["nDCG@10"] > bm25 + 0.05


def test_the_folder_is_what_transformers_js_looks_for(demo_artifact: Path) -> None:
    config = json.loads((demo_artifact / "config.json").read_text())
    assert config["model_type"] == "qwen3"
    assert config["transformers.js_config"]["dtype"] == "fp32"
    names = [f"model{spec.suffix}.onnx" for spec in PRECISIONS.values()]
    assert config["transformers.js_config"]["use_external_data_format"] == dict.fromkeys(names, 1)
    assert (demo_artifact / "onnx" / "model_quantized.onnx_data").is_file()
    assert not (demo_artifact / "evaluation.jsonl").exists()


@pytest.mark.usefixtures("oracle_process")
def test_pytorch_can_be_asked_again(demo_artifact: Path) -> None:
    golden = read_golden(demo_artifact)
    again = repeat_oracle(read_manifest(demo_artifact), golden, "demo")
    assert [pair.token_ids for pair in again.pairs] == [pair.token_ids for pair in golden.pairs]
    assert again.scored[0].logits == pytest.approx(golden.scored[0].logits)
    counted: list[int] = []
    record("demo", family="qwen3-reranker", pairs=golden.pairs[:3], options={}, done=counted.append)
    assert counted == [1, 1, 1]


@pytest.mark.usefixtures("oracle_process")
def test_what_pytorch_cannot_load_is_said(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "num_hidden_layers": "three"}))
    with pytest.raises(RerankError, match=r"^PyTorch cannot score .*checkpoint \(.*three.*\); check the ch"):
        record(str(checkpoint), family="qwen3-reranker", pairs=[], options={})


def test_lm_head_scores_like_the_folded_head(demo_artifact: Path, checkpoint: Path, tmp_path: Path) -> None:
    manifest = run(checkpoint, tmp_path / "lm", head="lm", variants=("fp32", "q4f16"), max_length=1024)
    assert manifest.scoring.readout is not None and manifest.scoring.kv_cache is None
    pairs = [("sort an array", "sort(a): sorts"), ("sort an array", "mean(a): average of an array")]
    lm = Reranker(tmp_path / "lm", variant="fp32").score(pairs).logits
    np.testing.assert_allclose(lm, Reranker(demo_artifact, variant="fp32").score(pairs).logits, atol=1e-4)


@pytest.mark.parametrize("method", ["k-quant", "hqq"])
def test_q4_methods_and_block_sizes(checkpoint: Path, tmp_path: Path, method: str) -> None:
    manifest = run(checkpoint, tmp_path / method, method=method, block_size=64)
    assert manifest.variants["q4"].settings == {"block_size": 64, "method": method, "embedding_bits": 8}


def test_an_embedding_in_four_bits_is_half_as_large(demo_artifact: Path, checkpoint: Path, tmp_path: Path) -> None:
    manifest = run(checkpoint, tmp_path / "small", variants=("q4", "int8"), embedding_bits=4)
    before, after = (
        {variant: sum(m.files[file].bytes for file in m.variants[variant].files) for variant in ("q4", "int8")}
        for m in (read_manifest(demo_artifact), manifest)
    )
    config = json.loads((checkpoint / "config.json").read_text())
    rows, width = config["vocab_size"], config["hidden_size"]
    # Half the bytes, and a two-byte scale for 32 columns instead of a four-byte one for all.
    saved = rows * (width / 2 + 4 - width / 16)
    assert before["q4"] - after["q4"] == pytest.approx(saved, rel=0.02)
    assert before["int8"] == pytest.approx(after["int8"], abs=100)


def test_a_variant_that_strays_fails_and_leaves_nothing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(checkpoint, tmp_path / "out", variants=("fp32",))
    strict = Tolerance(logit_difference=1e-9, noise=None, batch_effect=1, reason="a test")
    monkeypatch.setitem(onnxrank.proof.tolerances.TOLERANCES, "q4", strict)
    with pytest.raises(RerankError, match=r"q4 \(padded, \d+ pairs\) .* the largest logit difference is 0\.\d+"):
        run(checkpoint, tmp_path / "out", force=True, accept_loss=True)
    assert list(read_manifest(tmp_path / "out").variants) == ["fp32"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "out"]


def edit_config(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return change


def split_yes(folder: Path) -> None:
    data = json.loads((folder / "tokenizer.json").read_text())
    data["model"]["merges"] = [pair for pair in data["model"]["merges"] if pair != ["y", "es"] and pair != ["ye", "s"]]
    (folder / "tokenizer.json").write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("damage", "options", "sentence"),
    [
        (lambda f: None, {"family": None}, "does not say which reranker it is; name it with --family"),
        (lambda f: None, {"family": "bge"}, "--family 'bge' is unknown; the families are qwen3-reranker"),
        (lambda f: None, {"max_length": 9999}, "--max-length 9999 is more than the 4096 positions"),
        (edit_config(model_type="gpt2"), {}, "model_type 'gpt2', and family qwen3-reranker comes as"),
        (edit_config(rope_parameters={"rope_type": "longrope"}), {}, "RoPE type 'longrope'"),
        (lambda f: (f / "tokenizer.json").unlink(), {}, "has no tokenizer.json"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), {}, "is no tokenizer"),
        (split_yes, {}, "splits 'yes' into"),
        (lambda f: (f / "evaluation.jsonl").write_text("{}"), {}, "is no list of queries with documents"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    checkpoint: Path, tmp_path: Path, damage: Callable[[Path], object], options: dict[str, Any], sentence: str
) -> None:
    damage(checkpoint)
    with pytest.raises(RerankError) as caught:
        run(checkpoint, tmp_path / "out", **options)
    assert sentence in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_export_model_prints_parity_and_json(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [str(checkpoint), "--family", "qwen3-reranker", "--out", str(out)]
    shown = CliRunner().invoke(export_app, [*arguments, "--int8"], catch_exceptions=False)
    assert "noise" in shown.stdout and "int8" in shown.stdout
    machine = CliRunner().invoke(export_app, [*arguments, "--force", "--json"], catch_exceptions=False)
    assert list(json.loads(machine.stdout)["manifest"]["variants"]) == ["q4"]


def test_export_model_lists_aliases() -> None:
    listed = CliRunner().invoke(export_app, ["--list", "--json"], catch_exceptions=False)
    data = json.loads(listed.stdout)
    assert data["aliases"]["qwen3-reranker"]["repo_id"] == "Qwen/Qwen3-Reranker-0.6B"
    assert "qwen3-reranker" in data["families"]


def test_rank_reads_lines_json_lines_and_stdin(demo_artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"text": "sort(a): sorts"}\n"mean(a): average"\n')
    files = {"d.jsonl": None, "-": "sort(a): sorts\n\nmean(a): average\n"}
    for name, stdin in files.items():
        path = name if name == "-" else str(tmp_path / name)
        arguments = ["rank", str(demo_artifact), "sort", "--documents", path, "--variant", "q4", "--json"]
        result = CliRunner().invoke(onnxrank_app, arguments, input=stdin, catch_exceptions=False)
        assert sorted(hit["text"] for hit in json.loads(result.stdout)) == [
            "mean(a): average",
            "sort(a): sorts",
        ]
    (tmp_path / "d.jsonl").write_text('{"text": "fine"}\n{"txt": "broken"}\n')
    with pytest.raises(RerankError, match=r"line 2 has no `text` that is a string; it has txt"):
        CliRunner().invoke(
            onnxrank_app, ["rank", str(demo_artifact), "q", "--documents", str(tmp_path / "d.jsonl")],
            catch_exceptions=False,
        )  # fmt: skip


def test_verify_repeats_the_proof_and_catches_an_altered_weight(demo_artifact: Path, tmp_path: Path) -> None:
    artifact = tmp_path / "artifact"
    shutil.copytree(demo_artifact, artifact)
    arguments = ["verify", str(artifact), "--variant", "q4", "--json"]
    result = CliRunner().invoke(onnxrank_app, arguments, catch_exceptions=False)
    assert json.loads(result.stdout)["q4"]["parity"]["prefix"]["top1_agreement"] > 0.9
    weights = artifact / "onnx" / "model_q4.onnx_data"
    content = bytearray(weights.read_bytes())
    content[5000] ^= 0xFF
    weights.write_bytes(content)
    with pytest.raises(RerankError, match=r"model_q4\.onnx_data is not the file that was exported"):
        CliRunner().invoke(onnxrank_app, arguments, catch_exceptions=False)


def test_info_shows_source_and_sizes(demo_artifact: Path) -> None:
    shown = CliRunner().invoke(onnxrank_app, ["info", str(demo_artifact)], catch_exceptions=False).stdout
    assert "onnxrank/demo" in shown and "q4f16" in shown
