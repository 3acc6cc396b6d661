"""Tokenizers that merge text across the places where prompts are cut."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from onnxrank import Reranker
from onnxrank.artifact.manifest import read_manifest
from onnxrank.errors import ParityError
from onnxrank.export.checkpoint.tokenizer import read_tokenizer
from onnxrank.export.families import qwen3_reranker
from onnxrank.export.families.pair_prompt import encoded_whole, joined
from onnxrank.text.prompt import PromptEncoder, shared_tokens
from tests import tiny_tokenizers
from tests.exports import export_tiny, write_checkpoint
from tests.tiny import write_tiny
from tests.tiny_families import logit_score, qwen2_logit_score, shake

QUERY, DOCUMENTS = "What is the capital of China?", ["The capital of China is Beijing.", "Theory", "", "Thunder"]


def merging() -> Tokenizer:
    """Bytes without a pre-tokenizer that splits: `<Document>: The` may become one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [f"<Query>: {text}\n<Document>: {text}" for text in tiny_tokenizers.TEXTS]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*tiny_tokenizers.TEXTS, *texts], trainer)
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    # The answers have to be tokens, but not inside other words.
    tokenizer.add_tokens([AddedToken(answer, single_word=True) for answer in ("yes", "no")])
    return tokenizer


def merging_reranker(folder: Path) -> None:
    """A Qwen3-Reranker on Llama, whose tokenizer.json transformers uses unchanged."""
    tokenizer = merging()
    torch.manual_seed(14)
    config = transformers.LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=96, max_position_embeddings=4096,
    )  # fmt: skip
    shake(transformers.LlamaForCausalLM(config)).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<|endoftext|>", "model_max_length": 4096}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def test_a_tokenizer_that_merges_across_the_cut_is_exact(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", merging_reranker)
    manifest = export_tiny(checkpoint, tmp_path / "out", family="qwen3-reranker", max_length=600)
    assert manifest.scoring.prompt and manifest.scoring.prompt.whole
    assert read_manifest(tmp_path / "out") == manifest
    for parity in manifest.variants["fp32"].parity.values():
        assert parity.pairs >= 19 and parity.max_logit_difference <= 1e-5
    assert "prefix" in manifest.variants["fp32"].parity
    pieces = qwen3_reranker.prompt(read_tokenizer(checkpoint))
    assert not pieces.whole  # the fallback was needed

    theirs = transformers.PreTrainedTokenizerFast.from_pretrained(checkpoint)
    model = transformers.LlamaForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    yes, no = theirs.convert_tokens_to_ids(["yes", "no"])
    expected = []
    with torch.inference_mode():
        for document in DOCUMENTS:
            ids = qwen3_reranker.reference_token_ids(theirs, QUERY, document, 600)
            logits = model(torch.tensor([ids])).logits[0, -1]
            expected.append(float(logits[yes] - logits[no]))
    found = Reranker(tmp_path / "out").predict([(QUERY, text) for text in DOCUMENTS], activation="identity")
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_pairs_of_a_query_share_the_longest_common_prefix(tmp_path: Path) -> None:
    tokenizer = merging()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    prompt = encoded_whole(qwen3_reranker.prompt(tokenizer))
    assert prompt
    encoder = PromptEncoder(tmp_path / "tokenizer.json", prompt, 600)
    documents = [text for text in DOCUMENTS if text]
    whole = [list(tokenizer.encode(text, add_special_tokens=False).ids) for text in bodies(documents)]
    pairs = encoder.pairs(QUERY, documents, None, special_tokens=False)
    first, last = list(prompt.prefix_token_ids), list(prompt.suffix_token_ids)
    assert [list(pair.token_ids) for pair in pairs] == [[*first, *ids, *last] for ids in whole]
    common = len(pairs[0].query)
    assert {pair.query for pair in pairs} == {tuple(whole[0][:common])}
    assert {pair.instruction for pair in pairs} == {prompt.prefix_token_ids}
    # All tokens up to the first that the documents differ in.
    assert len({ids[common] for ids in whole}) > 1
    assert tokenizer.decode(whole[0][:common]).endswith(f"<Query>: {QUERY}\n<Document>: ")
    (alone,) = encoder.pairs(QUERY, DOCUMENTS[:1], None, special_tokens=False)
    assert not alone.query and list(alone.token_ids) == [*first, *whole[0], *last]


def bodies(documents: list[str]) -> list[str]:
    return [
        qwen3_reranker.BODY.format(instruction=qwen3_reranker.INSTRUCTION, query=QUERY, document=text)
        for text in documents
    ]


def test_a_whole_prompt_that_is_too_long_loses_the_end_of_its_document(tmp_path: Path) -> None:
    tokenizer = merging()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    prompt = encoded_whole(qwen3_reranker.prompt(tokenizer))
    assert prompt
    encoder = PromptEncoder(tmp_path / "tokenizer.json", prompt, 300)
    documents = ["word " * 400, "short"]
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    for pair, document in zip(encoder.pairs(QUERY, documents, None, special_tokens=False), documents, strict=True):
        assert list(pair.token_ids) == qwen3_reranker.reference_token_ids(theirs, QUERY, document, 300)
        assert pair.truncated == (document != "short")
        assert pair.token_ids[-len(prompt.suffix_token_ids) :] == prompt.suffix_token_ids


@pytest.mark.parametrize(
    ("sequences", "shared"),
    [
        ([(1, 2, 3)], 0),
        ([(1, 2, 3), (1, 2, 4)], 2),
        ([(1, 2), (1, 2, 3)], 1),  # each keeps one token of its own
        ([(1, 2), (1, 2)], 1),
        ([(), (1,)], 0),
        ([(2, 1), (1, 1)], 0),
        ([(5, 6, 7, 8), (5, 6, 7, 9), (5, 6, 1, 1)], 2),
    ],
)
def test_shared_tokens(sequences: list[tuple[int, ...]], shared: int) -> None:
    assert shared_tokens(sequences) == shared


def test_control_tokens_between_the_texts_make_every_cut_safe() -> None:
    assert encoded_whole(joined(tiny_tokenizers.wordpiece())) is None


@pytest.mark.skipif(
    int(transformers.__version__.split(".")[0]) < 5, reason="transformers 4 uses tokenizer.json unchanged"
)
def test_a_tokenizer_of_transformers_own_is_named_as_the_cause(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", qwen2_logit_score)
    merging().save(str(checkpoint / "tokenizer.json"))
    sentence = r"transformers 5\S+ gives 'What is .*' other token ids than checkpoint/tokenizer\.json, because it has a"
    with pytest.raises(ParityError, match=sentence):
        export_tiny(checkpoint, tmp_path / "out", max_length=600)
    assert not (tmp_path / "out").exists()


def test_a_merge_across_the_end_of_the_document_is_named_as_the_cause(tmp_path: Path) -> None:
    """The reference encodes both sides of the cut as one text, but truncation needs them separate."""
    chat = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}ing"
    checkpoint = write_checkpoint(tmp_path / "checkpoint", lambda folder: _logit_score(folder, chat))
    with pytest.raises(ParityError, match=r"tokenizer\.json merges text across a place where the prompt is cut"):
        export_tiny(checkpoint, tmp_path / "out", family="zerank", max_length=600)


def _logit_score(folder: Path, chat: str) -> None:
    logit_score(folder, chat=chat)
    write_tiny(folder, vocab_size=merging().get_vocab_size())
    merging().save(str(folder / "tokenizer.json"))
