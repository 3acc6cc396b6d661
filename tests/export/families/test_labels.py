"""Classifiers with two labels, whose score is the softmax probability of the relevant one; more labels are refused."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import CrossEncoder

from onnxrank import Reranker
from onnxrank.errors import UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.labels import scored_labels
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import bert, electra, modernbert, qwen3_classifier

PAIRS = [("the capital of France", "Paris is the capital of France."), ("the capital of France", "Bread is baked.")]
REVERSED = {0: "Relevant", 1: "not_relevant"}


@pytest.mark.parametrize(
    ("write", "relevant"),
    [
        (partial(bert, labels=2), 1),
        (partial(bert, labels=2, id2label=REVERSED), 0),
        (partial(modernbert, labels=2), 1),
        (partial(electra, labels=2), 1),
    ],
)
def test_the_score_is_the_probability_of_the_relevant_label(
    tmp_path: Path, write: Callable[[Path], object], relevant: int
) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", write)
    assert export_tiny(checkpoint, tmp_path / "out").scoring.activation == "sigmoid"
    theirs = CrossEncoder(str(checkpoint), device="cpu")
    probabilities = theirs.predict(PAIRS, apply_softmax=True)[:, relevant]
    ours = Reranker(tmp_path / "out")
    np.testing.assert_allclose(ours.predict(PAIRS), probabilities, atol=1e-5)
    logits = theirs.predict(PAIRS)
    difference = logits[:, relevant] - logits[:, 1 - relevant]
    np.testing.assert_allclose(ours.predict(PAIRS, activation="identity"), difference, atol=1e-4)


def test_a_language_model_with_two_labels_is_proven(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", partial(qwen3_classifier, labels=2))
    manifest = export_tiny(checkpoint, tmp_path / "out", max_length=600)
    assert all(found.max_logit_difference < 1e-5 for found in manifest.variants["fp32"].parity.values())


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"id2label": {"0": "LABEL_0"}}, (0, None)),
        ({"num_labels": 1}, (0, None)),
        ({}, (1, 0)),  # transformers' default is two labels
        ({"id2label": {"1": "LABEL_1", "0": "LABEL_0"}}, (1, 0)),
        ({"id2label": {"0": "no", "1": "yes"}}, (1, 0)),
        ({"id2label": {"0": "YES", "1": "No"}}, (0, 1)),
        ({"label2id": {"1": 0, "0": 1}}, (0, 1)),
    ],
)
def test_config_says_which_label_is_relevant(config: dict[str, Any], expected: tuple[int, int | None]) -> None:
    assert scored_labels(Checkpoint(folder=Path("m"), config=config, tensors={})) == expected


NLI = {"0": "contradiction", "1": "entailment", "2": "neutral"}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"id2label": NLI},
            r"has 3 labels \(contradiction, entailment, neutral\), and a reranker has one score: .*NLI",
        ),
        ({"num_labels": 7}, "has 7 labels"),
        (
            {"id2label": {"0": "NEGATIVE", "1": "POSITIVE"}},
            "calls its two labels 'NEGATIVE' and 'POSITIVE'.*set id2label",
        ),
        ({"id2label": {"0": "LABEL_1", "1": "LABEL_0"}}, "does not say which one means relevant"),
        ({"id2label": {"0": "yes", "1": "1"}}, "does not say which one means relevant"),
        ({"problem_type": "multi_label_classification"}, "two labels are two scores"),
    ],
)
def test_other_labels_are_one_sentence(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnsupportedError, match=f"^config.json of m .*{sentence}"):
        scored_labels(Checkpoint(folder=Path("m"), config=config, tensors={}))


@pytest.mark.parametrize("write", [bert, electra])
def test_an_nli_model_is_refused_before_pytorch_runs(tmp_path: Path, write: Callable[..., object]) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", partial(write, labels=3))
    with pytest.raises(UnsupportedError, match=r"has 3 labels .* an NLI model is no reranker"):
        export_tiny(checkpoint, tmp_path / "out")
