import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxrank import Reranker
from onnxrank.errors import CheckpointError, RerankError, UnsupportedError
from tests.exports import export_tiny, write_checkpoint
from tests.tiny import write_tiny
from tests.tiny_families import bert, electra, modernbert, module_stack, qwen3_classifier

PAIRS = [("the capital of France", "Paris is the capital of France."), ("a", "")]


def edited(folder: Path, write: Callable[[Path], object], name: str, **changes: Any) -> Path:
    write_checkpoint(folder, write)
    data = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**data, **changes}))
    return folder


@pytest.mark.parametrize(
    ("told", "activation"),
    [
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, "identity"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}, "sigmoid"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "identity"),
        ({}, "sigmoid"),
    ],
)
def test_the_activation_is_what_the_checkpoint_says(tmp_path: Path, told: dict[str, Any], activation: str) -> None:
    folder = edited(tmp_path / "bert", bert, "config.json", **{"sentence_transformers": None, **told})
    manifest = export_tiny(folder, tmp_path / "out")
    assert manifest.scoring.activation == activation
    found = Reranker(tmp_path / "out").score(PAIRS)
    expected = 1 / (1 + np.exp(-found.logits)) if activation == "sigmoid" else found.logits
    np.testing.assert_allclose(found.scores, expected, rtol=1e-6)


def test_an_activation_that_is_not_known_can_be_overruled(tmp_path: Path) -> None:
    told = {"activation_fn": "their.module.Softplus"}
    folder = edited(tmp_path / "bert", bert, "config.json", sentence_transformers=told)
    with pytest.raises(UnsupportedError, match=r"names the activation 'their\.module\.Softplus'.*--activation"):
        export_tiny(folder, tmp_path / "out")
    assert export_tiny(folder, tmp_path / "out", activation="identity").scoring.activation == "identity"


def test_a_classifier_with_more_labels_is_no_reranker(tmp_path: Path) -> None:
    folder = edited(tmp_path / "bert", bert, "config.json", id2label={"0": "no", "1": "yes"})
    with pytest.raises(UnsupportedError, match="has 2 labels, and a reranker has one score"):
        export_tiny(folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ({"type": "their.module.Whitening", "path": "5_W"}, r"names the module 'their\.module\.Whitening'"),
        (
            {"type": "sentence_transformers.models.Dense", "path": "../elsewhere"},
            r"names '\.\./elsewhere', which is no folder inside the checkpoint",
        ),
    ],
)
def test_a_module_that_is_not_known_is_refused(tmp_path: Path, module: dict[str, str], sentence: str) -> None:
    folder = write_checkpoint(tmp_path / "stack", module_stack)
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*modules, {"idx": 5, "name": "5", **module}]))
    with pytest.raises(RerankError, match=sentence):
        export_tiny(folder, tmp_path / "out", family="cross-encoder")


def test_modules_that_are_no_list_are_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "stack", module_stack)
    (folder / "modules.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"modules\.json is no list of objects"):
        export_tiny(folder, tmp_path / "out", family="cross-encoder")


@pytest.mark.parametrize(
    ("family", "write", "model_type", "comes_as"),
    [
        ("cross-encoder", qwen3_classifier, "qwen3", "any but llama, llama_bidirec, qwen2, qwen3"),
        ("qwen3-reranker", bert, "bert", "llama, qwen2, qwen3"),
        ("mmbert-rerank", bert, "bert", "modernbert"),
        ("colbert", write_tiny, "qwen3", "bert, modernbert, roberta, xlm-roberta"),
        ("zerank", modernbert, "modernbert", "llama, qwen2, qwen3"),
        ("qwen3-embedding", modernbert, "modernbert", "llama, qwen2, qwen3"),
    ],
)
def test_a_family_for_another_architecture_names_both(
    tmp_path: Path, family: str, write: Callable[[Path], object], model_type: str, comes_as: str
) -> None:
    folder = write_checkpoint(tmp_path / "checkpoint", write)
    with pytest.raises(UnsupportedError, match=f"model_type '{model_type}', and family {family} comes as {comes_as};"):
        export_tiny(folder, tmp_path / "out", family=family)


def test_a_traced_artifact_says_so(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "electra", electra)
    assert export_tiny(folder, tmp_path / "out", family="cross-encoder").traced
    assert np.isfinite(Reranker(tmp_path / "out").predict(PAIRS)).all()


def test_a_document_that_is_too_long_is_cut_and_reported(tmp_path: Path) -> None:
    export_tiny(write_checkpoint(tmp_path / "m", modernbert), tmp_path / "out", max_length=64)
    found = Reranker(tmp_path / "out").score([("query", "word " * 200), ("query", "word")])
    assert found.truncated.tolist() == [True, False] and found.tokens[0] == 64
