"""Families whose checkpoints are sentence-transformers' own, against its code; and chat templates."""

import json
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import CrossEncoder, SentenceTransformer

from onnxrank import Embedder, Reranker
from onnxrank.errors import CheckpointError, UnsupportedError
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import CHAT, TINY, logit_score, qwen3_embedding

PAIRS = [
    ("how do I sort an array", "Sort returns a sorted copy of an array along an axis."),
    ("What's a KEY?", "short"),
    ("weather", "The quick brown fox jumps over the lazy dog. " * 8),
    ("x", "y"),
]


@pytest.mark.parametrize("name", ["module stack", "zerank", "logit score, qwen2", "bert", "modernbert"])
def test_predict_is_cross_encoders(tmp_path: Path, name: str) -> None:
    tiny = TINY[name]
    checkpoint = write_checkpoint(tmp_path / "checkpoint", tiny.write)
    export_tiny(checkpoint, tmp_path / "out", family=tiny.family)
    theirs = CrossEncoder(str(checkpoint), device="cpu")
    ours = Reranker(tmp_path / "out")
    if name == "zerank":  # whose own code gives the logit, and whose card the probability
        np.testing.assert_allclose(ours.predict(PAIRS, activation="identity"), theirs.predict(PAIRS), atol=1e-4)
    else:
        np.testing.assert_allclose(ours.predict(PAIRS), theirs.predict(PAIRS), atol=1e-4)


def test_embeddings_are_sentence_transformers(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", qwen3_embedding)
    export_tiny(checkpoint, tmp_path / "out")
    theirs = SentenceTransformer(str(checkpoint), device="cpu")
    ours = Embedder(tmp_path / "out")
    texts = [text for pair in PAIRS for text in pair] + [""]
    np.testing.assert_allclose(ours.encode(texts, is_query=False), theirs.encode(texts), atol=1e-5)
    np.testing.assert_allclose(ours.encode(texts, is_query=True), theirs.encode(texts, prompt_name="query"), atol=1e-5)
    other = ours.encode(texts, is_query=True, instruction="Find the same subject")
    prompt = "Instruct: Find the same subject\nQuery:"
    np.testing.assert_allclose(other, theirs.encode(texts, prompt=prompt), atol=1e-5)
    assert ours.encode([], is_query=True).shape == (0, 64)


@pytest.mark.parametrize(
    ("chat", "sentence"),
    [
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "cannot be rendered .*unsafe"),
        ("{{ raise_exception('no such role') }}", r"cannot be rendered \(no such role\)"),
        ("{% if %}", "cannot be rendered"),
    ],
)
def test_a_chat_template_that_reaches_out_is_refused(tmp_path: Path, chat: str, sentence: str) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", lambda folder: logit_score(folder, chat=chat))
    with pytest.raises(CheckpointError, match=sentence):
        export_tiny(checkpoint, tmp_path / "out", family="zerank")


def test_a_chat_template_without_the_pair_is_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", lambda folder: logit_score(folder, chat="Hello."))
    with pytest.raises(UnsupportedError, match=r"needs one \{query\}"):
        export_tiny(checkpoint, tmp_path / "out", family="zerank")


def test_zeranks_probability_is_of_a_fifth_of_the_logit(tmp_path: Path) -> None:
    export_tiny(write_checkpoint(tmp_path / "checkpoint", logit_score), tmp_path / "out")
    found = Reranker(tmp_path / "out").score(PAIRS)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-found.logits / 5)), rtol=1e-5)


def test_a_checkpoint_that_names_no_answer_is_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", lambda folder: logit_score(folder, chat=CHAT))
    (checkpoint / "1_LogitScore" / "config.json").write_text(json.dumps({"false_token_id": None}))
    with pytest.raises(CheckpointError, match="names no true_token_id"):
        export_tiny(checkpoint, tmp_path / "out")


def test_an_embedder_whose_tokenizer_ends_no_text_is_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", qwen3_embedding)
    data = json.loads((checkpoint / "tokenizer.json").read_text())
    (checkpoint / "tokenizer.json").write_text(json.dumps({**data, "post_processor": None}))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json adds no token to a text, .*use the tokenizer that"):
        export_tiny(checkpoint, tmp_path / "out")
