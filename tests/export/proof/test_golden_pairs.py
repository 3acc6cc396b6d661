"""The golden pairs as they are shipped."""

import json
import unicodedata
from collections import Counter

from onnxrank.artifact.golden import by_query
from onnxrank.export.proof import golden_pairs as module
from onnxrank.export.proof.golden_pairs import QUERY, golden_pairs, read_pairs
from onnxrank.proof.verification import SAMPLE
from tests.exports import FEW
from tests.tiny import DEMO
from tests.tiny_tokenizers import qwen

# The whole file, also where a fixture has other code read a part of it.
FILE = DEMO.parent / "proof" / "golden_pairs.jsonl"
SCRIPTS = {
    "ARABIC", "BENGALI", "CJK", "CYRILLIC", "DEVANAGARI", "GREEK", "HANGUL", "HEBREW", "HIRAGANA", "LATIN", "THAI",
}  # fmt: skip


def scripts_of(text: str) -> set[str]:
    return {unicodedata.name(letter, "?").split()[0] for letter in text if letter.isalpha()}


def test_forty_queries_in_many_languages_have_graded_candidates() -> None:
    with FILE.open(encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines]
    assert len(entries) == len({entry["query"] for entry in entries}) == 40
    first, *others = entries
    assert "" in first["documents"] and any(text[:3].isspace() for text in first["documents"])
    for entry in others:
        assert sorted(entry["relevance"]) == [0, 0, 0, 1, 2], entry["query"]
        assert len(set(entry["documents"])) == 5, entry["query"]
        assert all(30 < len(text) < 400 for text in entry["documents"]), entry["query"]
    # A scorer that keeps the order of its input must not look right.
    assert len({tuple(entry["relevance"]) for entry in others}) == 5
    languages = Counter(entry["language"] for entry in entries)
    assert len(languages) == 18 and min(languages.values()) >= 2 and languages["code"] == 5
    assert SCRIPTS <= scripts_of("".join(entry["query"] for entry in entries))


def test_the_first_pairs_are_of_every_length_and_several_scripts() -> None:
    pairs = golden_pairs(qwen(), DEMO, max_length=4096, proof_length=512)
    assert module.FILE != FILE  # short_proofs
    scored = [pair for pair in pairs if pair.logits is not None]
    sample = scored[:SAMPLE]
    assert {pair.query for pair in sample} > {QUERY}
    assert {"ARABIC", "CJK", "LATIN"} <= scripts_of("".join(pair.document for pair in sample))
    lengths = sorted(len(qwen().encode(pair.document).ids) for pair in sample)
    assert lengths[0] == 0 and lengths[-1] > 400 and any(100 < length < 200 for length in lengths)
    assert [pair.relevance for pair in pairs if pair.logits is None] == [0]
    assert sum(len(group) > 1 for group in by_query(sample).values()) >= 3
    assert len({pair.query for pair in read_pairs(FILE, FEW)}) == FEW


def test_line_separators_in_texts_are_text() -> None:
    assert any("\u2028" in pair.document for pair in read_pairs(FILE))
