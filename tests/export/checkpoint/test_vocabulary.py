"""Vocabularies cut to some scripts: texts in these have the same tokens and scores as with the whole vocabulary."""

import json
import random
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import regex
from tokenizers import Tokenizer, models, normalizers, processors
from typer.testing import CliRunner

from onnxrank import Reranker
from onnxrank.artifact.golden import Golden, GoldenPair, read_golden
from onnxrank.artifact.manifest import Expansion, Manifest, TextPrompt, Texts, TokenVectors, read_manifest
from onnxrank.errors import InputError, RerankError, UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.checkpoint.vocabulary import Vocabulary, prune
from onnxrank.export.cli import app as export_app
from onnxrank.export.exporter import export
from onnxrank.export.families.family import scoring
from onnxrank.export.options import FamilyOptions, Options
from onnxrank.progress import progress
from tests import tiny_tokenizers
from tests.tiny import DEMO, write_tiny
from tests.tiny_families import xlm_roberta

REAL = ("qwen3_tokenizer", "gemma2_tokenizer")
SMALL = {
    make.__name__: make
    for make in (tiny_tokenizers.byte_level, tiny_tokenizers.qwen, tiny_tokenizers.unigram, tiny_tokenizers.wordpiece)
}
LATIN, OTHERS = ("Latin",), ("Greek", "Cyrillic")
# Spaces, accents, and letters that normalizers change (NFKC turns the micro sign into Greek) or few vocabularies have.
TEMPTING = (
    " ", "\n\n", "\u0301", "\u200d", "\U0001f469\u200d\U0001f52c", "\u00b5m", "\u00b5", "1", "'s", "ﬁ", "Å", "é", "ß",
    "Œ", "ø", "ơ", "ά", "β", "ς", "Ω", "ж", "щ", "Ё", "\u2460",
)  # fmt: skip


@cache
def tokenizer_of(name: str, file: Path | None) -> Tokenizer:
    return Tokenizer.from_file(str(file)) if file else SMALL[name]()


@cache
def pruned(whole: Tokenizer, scripts: tuple[str, ...]) -> tuple[Tokenizer, Vocabulary]:
    vocabulary = prune(whole, scripts, [])
    return Tokenizer.from_str(json.dumps(vocabulary.tokenizer)), vocabulary


@pytest.fixture(params=[*REAL, *SMALL])
def whole(request: pytest.FixtureRequest) -> Tokenizer:
    name: str = request.param
    return tokenizer_of(name, request.getfixturevalue(name) if name in REAL else None)


@pytest.mark.parametrize("scripts", [LATIN, OTHERS])
def test_texts_in_the_scripts_get_the_same_tokens(whole: Tokenizer, scripts: tuple[str, ...]) -> None:
    tokenizer, vocabulary = pruned(whole, scripts)
    inside = regex.compile("[" + "".join(rf"\p{{Script={s}}}" for s in (*scripts, "Common", "Inherited")) + "]+")
    pieces = sorted(whole.decoder.decode([piece]) if whole.decoder else piece for piece in whole.get_vocab())
    words, tempting = ([text for text in texts if inside.fullmatch(text)] for texts in (pieces, TEMPTING))
    rng = random.Random(0)
    texts = ["".join(rng.choice(rng.choice((words, tempting))) for _ in range(rng.randrange(12))) for _ in range(2000)]
    for before, after in zip(whole.encode_batch(texts), tokenizer.encode_batch(texts), strict=True):
        assert after.ids == [vocabulary.new_ids[id_] for id_ in before.ids]
    assert len(vocabulary.new_ids) < 0.9 * whole.get_vocab_size()


def test_texts_in_other_scripts_fall_back(whole: Tokenizer) -> None:
    for scripts, text in ((LATIN, "北京 Москва"), (OTHERS, "Beijing 北京")):
        tokenizer, vocabulary = pruned(whole, scripts)
        encoding = tokenizer.encode(text, add_special_tokens=False)
        if vocabulary.tokenizer["model"]["type"] == "BPE":
            assert tokenizer.decode(encoding.ids) == text
        else:
            assert {tokenizer.token_to_id("[UNK]"), tokenizer.token_to_id("<unk>")} & set(encoding.ids)


@pytest.mark.parametrize(
    "processor",
    [
        processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
        processors.Sequence([processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2))]),
        processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]),
    ],
)
def test_templates_and_padding_are_renumbered(processor: processors.PostProcessor) -> None:
    vocabulary = {"[PAD]": 1, "[CLS]": 2, "[SEP]": 3, "я": 0, "а": 4, "a": 5}
    whole = Tokenizer(models.WordPiece(vocabulary, unk_token="[PAD]"))
    whole.add_special_tokens(["[PAD]", "[CLS]", "[SEP]"])
    whole.post_processor = processor
    whole.enable_padding(pad_id=1, pad_token="[PAD]", length=4)
    tokenizer, _ = pruned(whole, LATIN)
    assert whole.encode("a").ids == [2, 5, 3, 1]
    assert tokenizer.encode("a").ids == [1, 3, 2, 0]


def test_a_rare_piece_does_not_change_what_unknown_characters_cost() -> None:
    pieces = [("<unk>", 0.0), ("a", -15.0), ("ab", -1.0), ("b@", -15.0), ("ж", -30.0)]
    whole = Tokenizer(models.Unigram(pieces, unk_id=0))
    # "ab" and an unknown character cost 11 more than the least likely piece, "a" and "b@" cost 30.
    assert pruned(whole, LATIN)[0].encode("ab@").tokens == whole.encode("ab@").tokens == ["a", "b@"]


def test_letters_that_the_normalizer_makes_are_kept() -> None:
    whole = Tokenizer(models.Unigram([("<unk>", 0.0), ("\u03bcm", -1.0), ("\u03c6m", -1.0), ("m", -2.0)], unk_id=0))
    whole.normalizer = normalizers.NFKC()
    tokenizer, _ = pruned(whole, LATIN)
    assert tokenizer.encode("5\u00b5m").tokens == ["5", "\u03bcm"]


def test_every_id_of_the_scoring_is_kept_and_renumbered(tmp_path: Path) -> None:
    qwen3_reranker(tmp_path)
    foreign = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).token_to_id("ÑĤ")
    assert foreign is not None
    side = TextPrompt(prefix_token_ids=(2, foreign), template="{text}", suffix_token_ids=(3,), max_length=9)
    texts = Texts(query=side, document=side, default_instruction=None, strip=True, lower_case=False)
    expansion = Expansion(token_id=foreign, attend=False)
    late = TokenVectors(dim=4, expansion=expansion, skip_token_ids=(2, foreign), masked_row=None)
    told = scoring(texts=texts, late_interaction=late, max_length=9, pad_token_id=foreign)
    assert foreign not in Vocabulary.of(Checkpoint.open(tmp_path), scoring(max_length=9, pad_token_id=2), LATIN).new_ids
    vocabulary = Vocabulary.of(Checkpoint.open(tmp_path), told, LATIN)
    found, new = vocabulary.scoring(told), vocabulary.new_ids[foreign]
    assert new < foreign
    assert found.texts and found.texts.query.prefix_token_ids == found.texts.document.prefix_token_ids == (2, new)
    assert found.late_interaction and found.late_interaction.skip_token_ids == (2, new)
    assert found.late_interaction.expansion == Expansion(token_id=new, attend=False)
    assert (found.pad_token_id, found.max_length) == (new, 9)


def test_golden_pairs_of_other_tokens_are_left_out() -> None:
    def pair(query: str, *ids: int) -> GoldenPair:
        return GoldenPair(query=query, document="", query_token_ids=(), token_ids=ids, logits=(0.5,), relevance=None)

    vocabulary = Vocabulary(new_ids={4: 0, 7: 1}, tokenizer={})
    golden = Golden(oracle={"torch": "2"}, pairs=(pair("a", 7, 4), pair("я", 7, 5), pair("b", 4)))
    assert vocabulary.golden(golden).pairs == (pair("a", 1, 0), pair("b", 0))
    with pytest.raises(InputError, match="leaves no pair to prove the export on"):
        vocabulary.golden(Golden(oracle={}, pairs=(pair("я", 5),)))


@pytest.mark.parametrize(
    ("model", "scripts", "error", "sentence"),
    [
        (models.WordLevel({"a": 0}, unk_token="a"), ["Latin"], UnsupportedError, "WordLevel, and --scripts is for BPE"),
        (models.BPE(), ["Latin", "Klingon"], InputError, "'Klingon', and Unicode has no such script; Latin, Greek"),
        (models.BPE(), ["latin"], InputError, "--scripts names 'latin'"),
        (models.BPE(), ["L}"], InputError, "--scripts names 'L}'"),
    ],
)
def test_what_cannot_be_pruned_is_one_sentence(
    model: models.Model, scripts: list[str], error: type[RerankError], sentence: str
) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        prune(Tokenizer(model), scripts, [])


def qwen3_reranker(folder: Path) -> None:
    """With pieces of several scripts, and rows that are no token's."""
    tokenizer = tiny_tokenizers.qwen(words=["yes", "no"] * 9)
    added = {token["id"]: token for token in json.loads(tokenizer.to_str())["added_tokens"]}
    end, *_, last = added
    write_tiny(folder, vocab_size=tokenizer.get_vocab_size() + 21, pad_token_id=end, eos_token_id=[last, end])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = json.loads((DEMO / "tokenizer_config.json").read_text())
    told["added_tokens_decoder"] = {str(token.pop("id")): token for token in added.values()}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))


@pytest.fixture(scope="module", params=["qwen3-reranker", "cross-encoder"])
def artifacts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One checkpoint with its whole vocabulary, and with Latin only."""
    folder = tmp_path_factory.mktemp("scripts")
    write = {"qwen3-reranker": qwen3_reranker, "cross-encoder": xlm_roberta}[request.param]
    (folder / "checkpoint").mkdir()
    write(folder / "checkpoint")
    run(folder / "checkpoint", folder / "whole", request.param, ())
    run(folder / "checkpoint", folder / "latin", request.param, LATIN)
    return folder / "whole", folder / "latin"


def run(checkpoint: Path, out: Path, family: str, scripts: tuple[str, ...], **options: Any) -> Manifest:
    chosen = Options(
        variants=("fp32", "q4"),
        scripts=scripts,
        proof_length=128,
        accept_loss=True,
        family=FamilyOptions(max_length=256),
        **options,
    )
    return export(locate(str(checkpoint)), out, family=family, options=chosen, force=False, progress=progress)


@pytest.mark.parametrize("variant", ["fp32", "q4"])
def test_scores_of_texts_in_the_scripts_are_the_same(artifacts: tuple[Path, Path], variant: str) -> None:
    before, after = (Reranker(folder, variant=variant) for folder in artifacts)
    documents = ["Käse entsteht, wenn Milch gerinnt.", "", "naïve \U0001f331 × 3", "x" * 300]
    pairs = [
        (query, document) for query in ("Wie wird Käse hergestellt?", "def f(x):\n\treturn x") for document in documents
    ]
    np.testing.assert_allclose(after.score(pairs).logits, before.score(pairs).logits, atol=1e-6)
    assert np.isfinite(after.score([("光合作用是什么？", "ما هي"), ("Käse", "Сыр")]).logits).all()


def test_the_artifact_agrees_with_itself(artifacts: tuple[Path, Path]) -> None:
    before, after = artifacts
    whole, kept = (Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size() for folder in artifacts)
    assert kept < 0.9 * whole
    for file in ("onnx/model.onnx_data", "onnx/model_q4.onnx_data", "tokenizer.json"):
        assert (after / file).stat().st_size < (before / file).stat().st_size
    manifest = read_manifest(after)
    assert manifest.options == {"max_length": 256, "scripts": "Latin"}
    assert f"cut to Latin: {kept:,} of {whole:,} tokens" in (after / "README.md").read_text()
    config = json.loads((after / "config.json").read_text())
    assert config["vocab_size"] == kept
    tokenizer = Tokenizer.from_file(str(after / "tokenizer.json"))
    for name in ("pad_token_id", "eos_token_id", "bos_token_id"):
        told = [json.loads((folder / "config.json").read_text()).get(name) for folder in artifacts]
        old, new = (told_ if isinstance(told_, list) else [told_] for told_ in told)
        names = [Tokenizer.from_file(str(before / "tokenizer.json")).id_to_token(id_) for id_ in old if id_ is not None]
        assert [tokenizer.id_to_token(id_) for id_ in new if id_ is not None] == names
    for folder in artifacts:
        named = json.loads((folder / "tokenizer_config.json").read_text()).get("added_tokens_decoder", {})
        own = Tokenizer.from_file(str(folder / "tokenizer.json")).get_added_tokens_decoder()
        assert all(own[int(id_)].content == token["content"] for id_, token in named.items())
    queries = {pair.query for pair in read_golden(after).pairs}
    assert "What is the capital of China?" in queries and "光合作用是什么？" not in queries


def test_export_model_takes_scripts(tmp_path: Path) -> None:
    arguments = [str(DEMO), "--family", "qwen3-reranker", "--out", str(tmp_path / "out"), "--scripts", "Latin, Elvish"]
    with pytest.raises(InputError, match="--scripts names 'Elvish'"):
        CliRunner().invoke(export_app, arguments, catch_exceptions=False)
    with pytest.raises(InputError, match="--head lm reads out the vocabulary that --scripts cuts"):
        CliRunner().invoke(export_app, [*arguments[:-1], "Latin", "--head", "lm"], catch_exceptions=False)
