"""mxbai-rerank against a transcription of mixedbread's package (mxbai_rerank_v2.py of mixedbread-ai/mxbai-rerank)."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer

from onnxrank import Reranker
from onnxrank.errors import InputError
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.families import mxbai_rerank as family
from onnxrank.export.families.detection import find_family
from onnxrank.export.options import FamilyOptions
from onnxrank.text.prompt import PromptEncoder
from tests import tiny_tokenizers
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import mxbai_rerank

SYSTEM = (
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n"
)
TASK = (
    "You are a search relevance expert who evaluates how well documents match search queries. For each query-document "
    "pair, carefully analyze the semantic relationship between them, then provide your binary relevance judgment "
    "(0 for not relevant, 1 for relevant).\nRelevance:"
)
PAIRS = [
    ("Who wrote 'To Kill a Mockingbird'?", "'To Kill a Mockingbird' is a novel by Harper Lee, published in 1960."),
    ("Wie wird Käse hergestellt?", ""),
    ("", "  \n\ttabs, newlines\n\n"),
    ("光合作用 ", "long " * 400),
]


def upstream(tokenizer: Any, query: str, document: str, max_length: int) -> list[int]:
    """`prepare_inputs` of the package without an instruction, with its meaning of max_length."""

    def ids(text: str, **limits: Any) -> list[int]:
        found: list[int] = tokenizer(text, add_special_tokens=False, **limits)["input_ids"]
        return found

    asked = ids(f"query: {query}", truncation=True, max_length=max_length * 3 // 4)
    answered = ids("\n") + ids(f"document: {document}", truncation=True, max_length=max_length)
    pair = asked + answered[: max_length - len(asked)]  # truncation="only_second"
    return ids(SYSTEM) + pair + ids("\n") + ids(TASK) + ids("<|im_end|>\n<|im_start|>assistant\n")


def predefined(tokenizer: Any) -> int:
    """The package's `predefined_length`: tokens that its max_length does not count."""
    texts = (SYSTEM, "\n", TASK, "<|im_end|>\n<|im_start|>assistant\n")
    return sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)


@pytest.fixture(params=["tiny", "real"])
def tokenizer_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The real tokenizer is Qwen3's, which encodes these texts like Qwen2.5's."""
    if request.param == "real":
        real: Path = request.getfixturevalue("qwen3_tokenizer")
        return real
    tiny_tokenizers.qwen().save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


@pytest.mark.parametrize("max_length", [64, 8192])
def test_token_ids_are_upstreams(tokenizer_file: Path, max_length: int) -> None:
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file))
    fixed = predefined(theirs)
    encoder = PromptEncoder(tokenizer_file, family.prompt(Tokenizer.from_file(str(tokenizer_file))), max_length + fixed)
    for query, document in PAIRS:
        expected = upstream(theirs, query, document, max_length)
        (found,) = encoder.pairs(query, [document], None, special_tokens=False)
        assert list(found.token_ids) == expected
        assert family.reference_token_ids(theirs, query, document, max_length + fixed) == expected
        whole = upstream(theirs, query, document, 8192)
        assert found.truncated == (len(whole) > len(expected))
        assert found.token_ids[-10:] == tuple(whole[-10:])  # what follows the document is never cut


def test_the_reference_cuts_a_long_query_as_upstream_does() -> None:
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizers.qwen())
    fixed = predefined(tokenizer)
    expected = upstream(tokenizer, "word " * 100, "a document", 64)
    assert family.reference_token_ids(tokenizer, "word " * 100, "a document", 64 + fixed) == expected


def test_the_default_length_is_upstreams_and_its_fixed_texts(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(write_checkpoint(tmp_path / "checkpoint", mxbai_rerank))
    checkpoint.config["max_position_embeddings"] = 32768
    tokenizer = Tokenizer.from_file(str(checkpoint.folder / "tokenizer.json"))
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    plan = family.plan(checkpoint, tokenizer, FamilyOptions())
    assert plan.scoring.max_length == len(upstream(theirs, "q", "word " * 9000, 8192))


def test_the_score_is_logit_1_minus_logit_0(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", mxbai_rerank)
    manifest = export_tiny(checkpoint, tmp_path / "out", family="mxbai-rerank", max_length=600)
    assert manifest.scoring.activation == "identity"
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(checkpoint / "tokenizer.json"))
    one, zero = (tokenizer(answer)["input_ids"][0] for answer in ("1", "0"))
    model = transformers.Qwen2ForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    fixed = predefined(tokenizer)
    with torch.inference_mode():
        rows = [model(torch.tensor([upstream(tokenizer, *pair, 600 - fixed)])).logits[0, -1] for pair in PAIRS]
    expected = [float(row[one] - row[zero]) for row in rows]
    np.testing.assert_allclose(Reranker(tmp_path / "out").predict(PAIRS), expected, atol=1e-5)


def test_without_its_card_it_has_to_be_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(write_checkpoint(tmp_path / "checkpoint", mxbai_rerank))
    assert find_family(None, checkpoint) is family.FAMILY
    (checkpoint.folder / "README.md").unlink()
    assert find_family("mxbai-rerank", checkpoint) is family.FAMILY
    with pytest.raises(InputError, match=r"does not say which reranker it is.*mxbai-rerank"):
        find_family(None, checkpoint)
