"""The ColBERT family against sentence-transformers' own MultiVectorEncoder, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import MultiVectorEncoder
from typer.testing import CliRunner

from onnxrank import LateInteraction, maxsim
from onnxrank.cli.app import app
from onnxrank.errors import ArtifactError, CheckpointError, InputError, UnsupportedError
from tests.exports import export_tiny, write_checkpoint
from tests.reports import recorded_progress
from tests.tiny_families import colbert, multi_vector

# PyLate removes spaces around a text, and sentence-transformers keeps them; the checkpoint decides.
TEXTS = ["How do I SORT an array, in Python?", "x", "", "Don't panic! (1, 2.5; 30%)", "The weather: rain. " * 40]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("colbert") / "colbert", colbert)


@pytest.fixture(scope="module")
def artifact(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("colbert-artifact") / "out"
    export_tiny(checkpoint, out, masked_row="zero")
    return out


@pytest.mark.parametrize("is_query", [True, False], ids=["queries", "documents"])
def test_its_own_checkpoints_give_its_vectors(tmp_path: Path, is_query: bool) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", multi_vector)
    export_tiny(checkpoint, tmp_path / "out")
    compare(checkpoint, tmp_path / "out", [*TEXTS, "  spaces around \n"], is_query)


@pytest.mark.parametrize("is_query", [True, False], ids=["queries", "documents"])
def test_vectors_are_sentence_transformers(checkpoint: Path, artifact: Path, is_query: bool) -> None:
    """This release needs transformers 5, where a row that sees no key is zero."""
    compare(checkpoint, artifact, TEXTS, is_query)


def compare(checkpoint: Path, artifact: Path, texts: list[str], is_query: bool) -> None:
    model = MultiVectorEncoder(str(checkpoint), device="cpu")
    encode = model.encode_query if is_query else model.encode_document
    expected = encode(texts, convert_to_numpy=True)
    found = LateInteraction(artifact).encode(texts, is_query=is_query)
    assert [rows.shape for rows in found] == [rows.shape for rows in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_labelled_candidates_beside_the_checkpoint_are_left_alone(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", multi_vector)
    entry = {"query": "sort an array", "documents": ["sorts", "finds"], "relevance": [1, 0]}
    (checkpoint / "evaluation.jsonl").write_text(json.dumps(entry) + "\n")
    manifest = export_tiny(checkpoint, tmp_path / "out")
    assert manifest.variants["fp32"].evaluation is None


def test_rank_is_maxsim_of_what_encode_gives(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LateInteraction(artifact)
    (query,) = model.encode(["sort an array"], is_query=True)
    expected = maxsim(query, model.encode(TEXTS, is_query=False))
    monkeypatch.setattr("onnxrank.late_interaction.CHUNK", 2)
    reported = recorded_progress(monkeypatch, "onnxrank.late_interaction")
    hits = model.rank("sort an array", TEXTS, return_documents=True, show_progress_bar=True)
    model.encode(TEXTS[:3], is_query=True, show_progress_bar=True)
    assert [hit["corpus_id"] for hit in hits] == np.argsort(-expected, kind="stable").tolist()
    np.testing.assert_allclose([hit["score"] for hit in hits], np.sort(expected)[::-1], rtol=1e-5)
    assert [hit["text"] for hit in hits if hit["truncated"]] == [TEXTS[-1]]
    assert reported == {"scoring": len(TEXTS), "embedding": 3}


def test_the_residual_and_the_lengths_matter(checkpoint: Path, artifact: Path, tmp_path: Path) -> None:
    without = write_checkpoint(tmp_path / "without", lambda folder: colbert(folder, residual=False))
    export_tiny(without, tmp_path / "plain", masked_row="zero")
    other = LateInteraction(tmp_path / "plain").encode(TEXTS, is_query=False)[0]
    ours = LateInteraction(artifact).encode(TEXTS, is_query=False)[0]
    assert np.abs(other @ other.T - ours @ ours.T).max() > 0.05
    export_tiny(checkpoint, tmp_path / "short", masked_row="zero", query_length=12, document_length=20)
    short = LateInteraction(tmp_path / "short")
    assert [len(rows) for rows in short.encode(TEXTS, is_query=True)] == [12] * len(TEXTS)
    assert max(len(rows) for rows in short.encode(TEXTS, is_query=False)) <= 20


def edit(folder: Path, name: str, **changes: Any) -> None:
    data = json.loads((folder / name).read_text())
    data = {key: value for key, value in {**data, **changes}.items() if value is not None}
    (folder / name).write_text(json.dumps(data))


def test_the_rule_for_masked_rows_is_the_release_that_saved_it(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "colbert", colbert)
    edit(folder, "config.json", transformers_version="5.23.0")
    late = export_tiny(folder, tmp_path / "five").scoring.late_interaction
    assert late and late.masked_row == "zero"
    edit(folder, "config.json", transformers_version="4.57.6")
    late = export_tiny(folder, tmp_path / "four").scoring.late_interaction
    assert late and late.masked_row == "mean"
    edit(folder, "config.json", transformers_version=None)
    with pytest.raises(UnsupportedError, match=r"names no transformers_version.*--masked-row mean"):
        export_tiny(folder, tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "changes", "error", "sentence"),
    [
        ("2_Dense/config.json", {"activation_function": "os.system"}, UnsupportedError, "names the activation 'os.sys"),
        ("config_sentence_transformers.json", {"query_prefix": "[NEW] "}, CheckpointError, r"no token '\[NEW\] '"),
        ("2_Dense/config.json", {"out_features": 95}, CheckpointError, r"has shape \[96, 96\].* makes it \[95, 96\]"),
    ],
)  # fmt: skip
def test_what_it_cannot_do_is_refused(
    tmp_path: Path, name: str, changes: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    folder = write_checkpoint(tmp_path / "colbert", colbert)
    edit(folder, name, **changes)
    with pytest.raises(error, match=sentence):
        export_tiny(folder, tmp_path / "out", masked_row="mean")


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("sentence_bert_config.json", {"query_expansion": {"strategy": "adaptive"}}, "strategy of .* is 'adaptive'"),
        ("4_MultiVectorMask/config.json", {"skiplist_tasks": ["query"]}, r"skiplist_tasks of .* is \['query'\]"),
        (
            "5_Normalize/config.json",
            {"module_input_name": "sentence_embedding"},
            r"token_embeddings of .* is \['Normalize'\]",
        ),
        ("4_MultiVectorMask/config.json", {"keep_only_token_ids": [1]}, r"keep_only_token_ids of .* is \[1\]"),
    ],
)
def test_a_setting_that_is_not_known_is_refused(
    tmp_path: Path, name: str, changes: dict[str, Any], sentence: str
) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", multi_vector)
    edit(folder, name, **changes)
    with pytest.raises(UnsupportedError, match=sentence):
        export_tiny(folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"max_length": 64}, "takes no --max-length, only --document-length, --masked-row, --query-length"),
        ({"document_length": 100_000}, r"a document of 100000 tokens is longer .* give --document-length \d+ or less"),
        ({"query_length": 100_000}, r"a query of 100000 tokens is longer .* give --query-length \d+ or less"),
    ],
)
def test_lengths_belong_to_the_sides(checkpoint: Path, tmp_path: Path, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        export_tiny(checkpoint, tmp_path / "out", **options)


def test_the_command_line_ranks_with_token_vectors(artifact: Path) -> None:
    arguments = ["rank", str(artifact), "sort an array", *TEXTS[:2], "--json"]
    hits = json.loads(CliRunner().invoke(app, arguments, catch_exceptions=False).stdout)
    assert hits == LateInteraction(artifact).rank("sort an array", TEXTS[:2], return_documents=True)
    for option in (["--layers", "3"], ["--dim", "8"], ["--instruction", "i"], ["--max-length", "9"], ["--raw"]):
        with pytest.raises(InputError, match=f"which takes no {option[0]}; leave it out"):
            CliRunner().invoke(app, [*arguments, *option], catch_exceptions=False)
    with pytest.raises(ArtifactError, match="has no variant 'q4'"):
        CliRunner().invoke(app, [*arguments, "--variant", "q4"], catch_exceptions=False)


def test_control_tokens_in_texts_are_text_unless_asked(tmp_path: Path) -> None:
    export_tiny(write_checkpoint(tmp_path / "checkpoint", multi_vector), tmp_path / "out")
    model, text = LateInteraction(tmp_path / "out"), "a [SEP] b"
    for is_query in (True, False):
        default, plain, parsed = (
            model.encode([text], is_query=is_query, **options)[0]
            for options in ({}, {"special_tokens": False}, {"special_tokens": True})
        )
        np.testing.assert_array_equal(default, plain)
        assert default.shape != parsed.shape or np.abs(default - parsed).max() > 1e-3
    default, plain, parsed = (
        model.rank(text, [text], **options)[0]["score"]
        for options in ({}, {"special_tokens": False}, {"special_tokens": True})
    )
    assert default == plain != parsed


def test_each_class_names_the_one_that_fits(artifact: Path, demo_artifact: Path) -> None:
    from onnxrank import Embedder, Reranker

    with pytest.raises(ArtifactError, match=r"open it with `onnxrank\.LateInteraction`"):
        Reranker(artifact)
    with pytest.raises(ArtifactError, match=r"open it with `onnxrank\.LateInteraction`"):
        Embedder(artifact)
    with pytest.raises(ArtifactError, match=r"open it with `onnxrank\.Reranker`"):
        LateInteraction(demo_artifact)


def test_the_prompts_of_the_sides_stand_before_the_texts(tmp_path: Path) -> None:
    """Like ColBERT-Zero's, after the prefix token. Spaces around prompt and text are removed, between them kept."""
    prompts = {"query": "search_query: ", "document": "search_document: "}
    folder = write_checkpoint(tmp_path / "c", lambda folder: colbert(folder, attend=True, prompts=prompts))
    export_tiny(folder, tmp_path / "out")
    plain = write_checkpoint(tmp_path / "plain", lambda folder: colbert(folder, attend=True))
    export_tiny(plain, tmp_path / "plain-out")
    with_prompts, without = LateInteraction(tmp_path / "out"), LateInteraction(tmp_path / "plain-out")
    for text in ("numpy sort", "  two spaces before, a newline after\n"):
        for is_query, prompt in ((True, "search_query: "), (False, "search_document: ")):
            (found,) = with_prompts.encode([text], is_query=is_query)
            (expected,) = without.encode([prompt + text], is_query=is_query)
            np.testing.assert_allclose(found, expected, atol=1e-6)
            (bare,) = without.encode([text], is_query=is_query)
            assert bare.shape != expected.shape or np.abs(bare - expected).max() > 0.1
