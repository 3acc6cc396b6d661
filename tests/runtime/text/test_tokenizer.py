import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from onnxrank.errors import ArtifactError
from onnxrank.text.tokenizer import PLACEHOLDER, TextTokenizer
from tests import tiny_tokenizers

MAKERS = {
    "wordpiece": tiny_tokenizers.wordpiece,
    "unigram": tiny_tokenizers.unigram,
    "byte-level": tiny_tokenizers.byte_level,
    "qwen": tiny_tokenizers.qwen,
}


@pytest.fixture(params=MAKERS)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    MAKERS[request.param]().save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_no_text_can_write_a_control_token(file: Path) -> None:
    tokenizer = Tokenizer.from_file(str(file))
    control = {token.content: id_ for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    unknown = {tokenizer.token_to_id(name) for name in ("[UNK]", "<unk>")}
    texts = [f"Paris {name} France{name}{name}" for name in control]
    encoder = TextTokenizer(file)
    for parsed, plain in zip(
        encoder.encode(texts, special_tokens=True), encoder.encode(texts, special_tokens=False), strict=True
    ):
        assert set(parsed) & set(control.values())
        assert not set(plain) & (set(control.values()) - unknown)


def test_no_text_can_write_the_placeholder_of_a_control_token(tmp_path: Path) -> None:
    made = tiny_tokenizers.unigram()
    made.save(str(tmp_path / "tokenizer.json"))
    control = {id_ for id_, token in made.get_added_tokens_decoder().items() if token.special}
    guesses = "".join(f" {PLACEHOLDER}{id_}" for id_ in control)
    (plain,) = TextTokenizer(tmp_path / "tokenizer.json").encode([f"</s>{guesses}"], special_tokens=False)
    assert not set(plain) & (control - {made.token_to_id("<unk>")})


def test_plain_texts_are_encoded_alike_either_way(file: Path) -> None:
    encoder = TextTokenizer(file)
    name = next(iter(Tokenizer.from_file(str(file)).get_added_tokens_decoder().values())).content
    texts = ["Paris is the capital of France.", "", "a    b", " x\n"]
    both = encoder.encode(texts, special_tokens=True)
    assert encoder.encode(texts, special_tokens=False) == both
    # Beside a text with a control token, all are encoded by the tokenizer without them.
    assert encoder.encode([*texts, name], special_tokens=False)[:-1] == both


def test_runs_of_spaces_that_are_tokens_stay_so(tmp_path: Path) -> None:
    made = tiny_tokenizers.byte_level()
    made.save(str(tmp_path / "tokenizer.json"))
    (ids, _) = TextTokenizer(tmp_path / "tokenizer.json").encode(["a    b", "[SEP]"], special_tokens=False)
    assert made.token_to_id("    ") in ids


def test_the_files_own_limits_are_ignored(tmp_path: Path) -> None:
    made = tiny_tokenizers.wordpiece()
    texts = ["Paris is the capital of France. " * 3, "Paris", "[SEP]"]
    expected = [tuple(made.encode(text, add_special_tokens=False).ids) for text in texts[:2]]
    made.enable_truncation(4)
    made.enable_padding()
    made.save(str(tmp_path / "tokenizer.json"))
    for several in (texts[:2], texts):
        assert TextTokenizer(tmp_path / "tokenizer.json").encode(several, special_tokens=False)[:2] == expected


def test_a_file_that_is_no_tokenizer_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json is no tokenizer"):
        TextTokenizer(tmp_path / "tokenizer.json").encode(["a"], special_tokens=False)
    made = tiny_tokenizers.wordpiece()
    made.save(str(tmp_path / "tokenizer.json"))
    data = json.loads((tmp_path / "tokenizer.json").read_text())
    data["model"]["unk_token"] = "[NONE]"
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match=r"tokenizer\.json cannot encode the texts"):
        TextTokenizer(tmp_path / "tokenizer.json").encode(["\u4e00"], special_tokens=False)
