from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from onnxrank.errors import UnsupportedError
from onnxrank.export.families.pair_prompt import joined, safe_cut, templated
from onnxrank.text.prompt import PromptEncoder
from tests import tiny_tokenizers
from tests.tiny import DEMO

TEMPLATES = [
    "Query: {query}\nCapability: {document}",
    "{query}\n{document}",
    "q: {query} d: {document} answer:",
    "<|im_start|>system\n{query}<|im_end|>\n<|im_start|>user\n{document}<|im_end|>\n<|im_start|>assistant\n",
]
PIECES = st.sampled_from([" ", "\n", "\r\n", ":", "'s", "s", "1", "\u0301", "\u200d", "。", "é", "a", " the", "\u3000"])
TEXTS = st.one_of(st.text(max_size=20), st.lists(PIECES, max_size=8).map("".join))


@cache
def encoder_for(template: str) -> tuple[Tokenizer, PromptEncoder]:
    tokenizer = Tokenizer.from_file(str(DEMO / "tokenizer.json"))
    return tokenizer, PromptEncoder(DEMO / "tokenizer.json", templated(template, tokenizer), 8192)


@pytest.mark.parametrize("template", TEMPLATES)
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(query=TEXTS, document=TEXTS)
def test_split_encoding_is_joint_encoding(template: str, query: str, document: str) -> None:
    """The reference encodes the text after the document separately too, so that truncation keeps it whole."""
    tokenizer, encoder = encoder_for(template)
    before, after = template.split("{document}")
    expected = [
        *tokenizer.encode(before.replace("{query}", query) + document, add_special_tokens=False).ids,
        *tokenizer.encode(after, add_special_tokens=False).ids,
    ]
    (pair,) = encoder.pairs(query, [document], None, special_tokens=True)
    assert list(pair.token_ids) == expected


@pytest.mark.parametrize("template", TEMPLATES[:3])
def test_the_query_is_shared_wherever_the_cut_is_safe(template: str) -> None:
    prompt = templated(template, encoder_for(template)[0])
    assert bool(prompt.query) == (safe_cut(template.split("{query}")[1].split("{document}")[0]) is not None)


@pytest.mark.parametrize("template", ["{query}", "{document} {query}", "{query} {query} {document}", ""])
def test_a_template_without_its_slots_is_refused(template: str) -> None:
    with pytest.raises(UnsupportedError, match=r"needs one \{query\} and, behind it, one \{document\}"):
        templated(template, Tokenizer.from_file(str(DEMO / "tokenizer.json")))


@pytest.mark.parametrize("make", [tiny_tokenizers.wordpiece, tiny_tokenizers.unigram, tiny_tokenizers.byte_level])
@settings(
    max_examples=200, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)  # fmt: skip
@given(query=TEXTS, document=TEXTS, max_length=st.integers(8, 30))
def test_joined_pairs_are_the_tokenizers_own(
    tmp_path: Path, make: Callable[[], Tokenizer], query: str, document: str, max_length: int
) -> None:
    file = tmp_path / "tokenizer.json"
    if not file.exists():
        make().save(str(file))
    tokenizer = Tokenizer.from_file(str(file))
    encoder = PromptEncoder(file, joined(tokenizer), max_length)
    tokenizer.enable_truncation(max_length)  # longest_first is its default
    (pair,) = encoder.pairs(query, [document], None, special_tokens=True)
    assert list(pair.token_ids) == tokenizer.encode(query, document).ids
