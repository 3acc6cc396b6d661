"""Which family a checkpoint is taken for, and which are offered if that is not certain."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from onnxrank.errors import InputError, UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.families.detection import find_family

JUDGE = "{{ 'Judge whether the Document meets the requirements' }}"
EXPERT = "{{ 'You are a search relevance expert who evaluates how well documents match' }}"
LOGIT_SCORE = [{"path": "", "type": "st.Transformer"}, {"path": "1_LogitScore", "type": "st.LogitScore"}]


def checkpoint(
    folder: Path, model_type: str | None, architecture: str, tensor: str = "model.norm.weight", **files: Any
) -> Checkpoint:
    """Write a folder with one tensor; `files` are file names without their ending and contents, JSON but for text."""
    config = {"model_type": model_type, "architectures": [architecture], **files.pop("config", {})}
    (folder / "config.json").write_text(json.dumps(config))
    save_file({tensor: np.zeros(1, np.float32)}, folder / "model.safetensors")
    for name, content in files.items():
        ending = {"chat_template": "jinja", "README": "md"}.get(name, "json")
        (folder / f"{name}.{ending}").write_text(content if isinstance(content, str) else json.dumps(content))
    return Checkpoint.open(folder)


QWEN3, QWEN2, CLASSIFIER = "Qwen3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForSequenceClassification"


@pytest.mark.parametrize(
    ("model_type", "architecture", "more", "family"),
    [
        ("qwen3", QWEN3, {"chat_template": JUDGE}, "qwen3-reranker"),
        ("qwen3", QWEN3, {"tokenizer_config": {"chat_template": JUDGE}}, "qwen3-reranker"),
        ("qwen3", QWEN3, {"chat_template": JUDGE, "modules": LOGIT_SCORE}, "qwen3-reranker"),
        ("qwen3", QWEN3, {"config": {"_name_or_path": "Qwen/Qwen3-Reranker-4B"}}, "qwen3-reranker"),
        ("qwen3", QWEN3, {"README": "---\nbase_model: Qwen/Qwen3-Reranker-0.6B\n---\n"}, "qwen3-reranker"),
        ("qwen3", CLASSIFIER, {"tensor": "score.weight", "chat_template": JUDGE}, "qwen3-reranker"),
        ("qwen2", QWEN2, {"chat_template": EXPERT}, "mxbai-rerank"),
        ("qwen2", QWEN2, {"chat_template": EXPERT, "modules": LOGIT_SCORE}, "mxbai-rerank"),
        ("qwen2", QWEN2, {"README": "---\nbase_model:\n- mixedbread-ai/mxbai-rerank-large-v2\n---"}, "mxbai-rerank"),
        ("qwen3", QWEN3, {"chat_template": "{{ 'Hello' }}", "modules": LOGIT_SCORE}, "zerank"),
        ("bert", "BertForSequenceClassification", {"tensor": "classifier.weight"}, "cross-encoder"),
        ("deberta-v2", "DebertaV2ForSequenceClassification", {"tensor": "classifier.weight"}, "cross-encoder"),
        ("distilbert", "DistilBertForSequenceClassification", {"tensor": "classifier.bias"}, "cross-encoder"),
    ],
)
def test_what_is_certain_is_found(
    tmp_path: Path, model_type: str, architecture: str, more: Mapping[str, Any], family: str
) -> None:
    assert find_family(None, checkpoint(tmp_path, model_type, architecture, **more)).name == family


@pytest.mark.parametrize(
    ("model_type", "architecture", "more", "offered"),
    [
        ("qwen3", QWEN3, {}, "qwen3-reranker, mxbai-rerank, qwen3-embedding"),
        ("qwen3", QWEN3, {"README": "---\nbase_model: Qwen/Qwen3-0.6B\n---\nnot Qwen/Qwen3-Reranker-0.6B"},
         "qwen3-reranker, mxbai-rerank, qwen3-embedding"),
        # A reward model, or one that was trained on plain pairs, has the same files as a reranker.
        ("qwen3", CLASSIFIER, {"tensor": "score.weight"},
         "qwen3-reranker, matrix-v6-reranker"),
        ("qwen3", CLASSIFIER, {"tensor": "score.weight", "README": "---\nbase_model: Qwen/Qwen3-Reranker-4B\n---\n"},
         "qwen3-reranker, matrix-v6-reranker"),
        ("gemma2", "Gemma2ForSequenceClassification", {"tensor": "score.weight"}, "cross-encoder"),
    ],
)  # fmt: skip
def test_only_families_that_fit_are_offered(
    tmp_path: Path, model_type: str, architecture: str, more: Mapping[str, Any], offered: str
) -> None:
    with pytest.raises(InputError) as caught:
        find_family(None, checkpoint(tmp_path, model_type, architecture, **more))
    assert str(caught.value) == (
        f"{tmp_path.name} does not say which reranker it is; name it with --family ({offered})."
    )


@pytest.mark.parametrize(
    ("model_type", "architecture", "is_a"),
    [
        ("gpt2", "GPT2LMHeadModel", "GPT2LMHeadModel with model_type 'gpt2'"),
        ("bert", "BertModel", "BertModel with model_type 'bert'"),
        ("modernbert", "ModernBertForMaskedLM", "ModernBertForMaskedLM with model_type 'modernbert'"),
        ("t5", "", "model with model_type 't5'"),
    ],
)
def test_if_no_family_fits_the_message_says_so(tmp_path: Path, model_type: str, architecture: str, is_a: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        find_family(None, checkpoint(tmp_path, model_type, architecture))
    assert f"is a {is_a}, and no family takes such a checkpoint" in str(caught.value)
