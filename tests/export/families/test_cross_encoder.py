import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder
from tokenizers import Tokenizer, processors

from onnxrank import Reranker
from onnxrank.errors import CheckpointError, RerankError, UnsupportedError
from tests.exports import export_tiny, write_checkpoint
from tests.tiny import write_tiny
from tests.tiny_families import bert, electra, modernbert, module_stack, qwen3_classifier

PAIRS = [("the capital of France", "Paris is the capital of France."), ("a", "")]


def edited(folder: Path, write: Callable[[Path], object], name: str, **changes: Any) -> Path:
    write_checkpoint(folder, write)
    data = {**json.loads((folder / name).read_text()), **changes}
    (folder / name).write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
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


def test_a_checkpoint_in_a_pickle_is_exported(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "bert", bert)
    export_tiny(folder, tmp_path / "safetensors")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert export_tiny(folder, tmp_path / "pickle").family == "cross-encoder"
    expected, found = (Reranker(tmp_path / name).predict(PAIRS) for name in ("safetensors", "pickle"))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("write", [bert, electra])
@pytest.mark.parametrize(
    "settings",
    [
        {"model_input_names": ["input_ids", "attention_mask"]},
        {"model_input_names": ["input_ids", "attention_mask", "token_type_ids"]},
        {"model_input_names": None},  # then the class decides
        {"model_input_names": None, "tokenizer_class": "BertTokenizer"},
    ],
)
def test_token_types_are_those_of_the_checkpoints_tokenizer(
    tmp_path: Path, write: Callable[[Path], object], settings: dict[str, Any]
) -> None:
    folder = edited(tmp_path / "model", write, "tokenizer_config.json", **settings)
    manifest = export_tiny(folder, tmp_path / "out")
    assert all(found.max_logit_difference < 1e-5 for found in manifest.variants["fp32"].parity.values())
    theirs = CrossEncoder(str(folder), device="cpu").predict(PAIRS)
    np.testing.assert_allclose(Reranker(tmp_path / "out").predict(PAIRS), theirs, atol=1e-5)


def test_a_template_without_types_leaves_all_at_zero(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "bert", bert)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ends = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    export_tiny(folder, tmp_path / "out")
    theirs = CrossEncoder(str(folder), device="cpu").predict(PAIRS)
    np.testing.assert_allclose(Reranker(tmp_path / "out").predict(PAIRS), theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (bert, "bert.embeddings.word_embeddings.weight"),  # in a file of its own
        (bert, "classifier.weight"),  # inside the graph's file
        (bert, "bert.encoder.layer.0.attention.output.LayerNorm.bias"),
        (electra, "classifier.out_proj.weight"),
    ],
)
def test_a_weight_that_is_no_number_is_named(tmp_path: Path, write: Callable[[Path], object], name: str) -> None:
    folder = write_checkpoint(tmp_path / "model", write)
    tensors = load_file(folder / "model.safetensors")
    tensors[name].view(-1)[0] = float("inf")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=f"^tensor '{name}' in .* holds NaN or infinity"):
        export_tiny(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
