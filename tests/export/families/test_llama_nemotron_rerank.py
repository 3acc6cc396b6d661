"""llama-nemotron-rerank against a transcription of NVIDIA's model code and of its card's tokenization."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from onnxrank import Reranker
from onnxrank.artifact.manifest import read_manifest
from onnxrank.errors import CheckpointError, UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.families import FAMILIES
from onnxrank.export.families.detection import find_family
from onnxrank.export.families.llama_nemotron_rerank import FAMILY
from onnxrank.text.prompt import PromptEncoder
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import llama_nemotron

PAIRS = [
    ("how much protein should a female eat?", "The average requirement for women of 19 to 70 is 46 grams a day."),
    ("summit define", "Definition of summit: 1 the highest point of a mountain."),
    ("Wie wird Käse hergestellt?", ""),
    ("", "  \n\ttabs, newlines\n\n"),
    ("long", "document " * 100),
]


def edited(folder: Path, **changes: Any) -> Path:
    write_checkpoint(folder, llama_nemotron)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


def upstream(
    checkpoint: Path, pairs: Sequence[tuple[str, str]], max_length: int
) -> tuple[list[list[int]], list[float]]:
    """Token ids and logits: the card's left-padded batch, LlamaModel's layers without a causal mask, the mean over what
    the mask shows, the score, the temperature."""
    tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(checkpoint, padding_side="left")
    texts = [f"question:{query} \n \n passage:{passage}" for query, passage in pairs]
    ids = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
    batch = tokenizer(texts, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    fields = json.loads((checkpoint / "config.json").read_text())
    config = transformers.LlamaConfig(**{k: v for k, v in fields.items() if k not in ("model_type", "auto_map")})
    config._attn_implementation = "sdpa"
    classifier = transformers.LlamaForSequenceClassification.from_pretrained(
        checkpoint, config=config, dtype=torch.float32
    ).eval()
    model = classifier.model
    with torch.inference_mode():
        hidden = model.embed_tokens(batch.input_ids)
        shown = batch.attention_mask.bool()
        positions = torch.arange(hidden.shape[1])[None]
        rotary = model.rotary_emb(hidden, positions)
        for layer in model.layers:
            layer.self_attn.is_causal = False
            hidden = layer(hidden, attention_mask=shown[:, None, None, :], position_embeddings=rotary)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden  # a tuple in transformers 4
        hidden = model.norm(hidden).masked_fill(~shown[..., None], 0.0)
        pooled = hidden.sum(1) / shown.sum(1)[:, None]
        logits = classifier.score(pooled)[:, 0] / fields["temperature"]
    return ids, logits.tolist()


@pytest.mark.parametrize("max_length", [48, 600])
def test_token_ids_and_logits_are_upstreams(tmp_path: Path, max_length: int) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", llama_nemotron)
    manifest = export_tiny(checkpoint, tmp_path / "out", max_length=max_length)
    assert manifest.scoring.activation == "identity" and manifest.scoring.kv_cache is None
    assert not manifest.variants["fp32"].prefix
    ids, logits = upstream(checkpoint, PAIRS, max_length)
    ours = Reranker(tmp_path / "out")
    encoder = encoder_of(tmp_path / "out")
    kept = []
    for i, ((query, document), expected) in enumerate(zip(PAIRS, ids, strict=True)):
        (found,) = encoder.pairs(query, [document], None, special_tokens=False)
        assert list(found.token_ids) == expected
        kept += [] if found.lost else [i]
    # A query that leaves no room for the document is refused.
    assert len(kept) > 2
    np.testing.assert_allclose(ours.predict([PAIRS[i] for i in kept]), np.array(logits)[kept], atol=1e-5)


def encoder_of(folder: Path) -> PromptEncoder:
    scoring = read_manifest(folder).scoring
    assert scoring.prompt
    return PromptEncoder(folder / "tokenizer.json", scoring.prompt, scoring.max_length)


def test_the_query_is_shared_by_its_documents(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", llama_nemotron)
    prompt = export_tiny(checkpoint, tmp_path / "out", max_length=600).scoring.prompt
    assert prompt and (prompt.query, prompt.document) == ("question:{query} \n \n passage", ":{document}")


def test_code_beside_the_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if somebody at the terminal would agree to run it."""
    monkeypatch.setattr("builtins.input", lambda *question: "y")
    checkpoint = write_checkpoint(tmp_path / "checkpoint", llama_nemotron)
    ran = tmp_path / "ran"
    (checkpoint / "llama_bidirectional_model.py").write_text(f"open({str(ran)!r}, 'w')\n")
    export_tiny(checkpoint, tmp_path / "out", max_length=600)
    assert not ran.exists()


def test_it_is_recognised_by_its_head(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(write_checkpoint(tmp_path / "checkpoint", llama_nemotron))
    assert [family for family in FAMILIES.values() if family.recognises(checkpoint)] == [FAMILY]
    embedding = {name: entry for name, entry in checkpoint.tensors.items() if name != "score.weight"}
    without = Checkpoint(folder=checkpoint.folder, config=checkpoint.config, tensors=embedding)
    assert not FAMILY.recognises(without)
    with pytest.raises(UnsupportedError, match="model_type 'llama_bidirec', and family cross-encoder comes as"):
        find_family("cross-encoder", checkpoint)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pooling": "cls"}, "sets pooling to 'cls', and only 'avg'"),
        ({"is_causal": True}, "sets is_causal to True, and only False"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "RoPE type 'longrope'"),
    ],
)
def test_what_would_score_otherwise_is_refused(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        export_tiny(edited(tmp_path / "checkpoint", **changes), tmp_path / "out", max_length=600)


def test_a_head_of_another_size_is_named(tmp_path: Path) -> None:
    folder = edited(tmp_path / "checkpoint", hidden_size=65)
    with pytest.raises(CheckpointError, match=r"'score\.weight' .* has shape \[1, 64\]"):
        export_tiny(folder, tmp_path / "out", max_length=600)
