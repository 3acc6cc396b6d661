"""Cuts a vocabulary to the tokens of chosen scripts, which makes the embedding table and the download smaller.

Every token that can be part of a text in these scripts is kept, with the merges and pieces that it needs, so such a
text is encoded as before except for the numbering. Other texts fall back to bytes or the unknown token.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray
from tokenizers import Tokenizer

from onnxrank.artifact.golden import Golden
from onnxrank.artifact.manifest import Scoring
from onnxrank.artifact.opening import TOKENIZER
from onnxrank.artifact.schema import read, write
from onnxrank.errors import InputError, UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint

MODELS = ("BPE", "Unigram", "WordPiece")
# Unicode's script names for characters that all scripts share: digits, punctuation, emoji; accents.
SHARED = ("Common", "Inherited")
SCRIPT = re.compile("[A-Z][A-Za-z_]+")
# Keys that hold token ids in the manifest, golden.json, config.json and tokenizer.json (except its model).
ID_KEYS = re.compile(r"(\w+_)?token_ids?|ids?|pad_id|cls|sep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The kept part of a vocabulary. new_ids: by old id, ascending. tokenizer: the tokenizer.json with the new ids."""

    new_ids: Mapping[int, int]
    tokenizer: Mapping[str, Any]

    @classmethod
    def of(cls, checkpoint: Checkpoint, scoring: Scoring, scripts: Sequence[str]) -> "Vocabulary":
        """Return the part of a checkpoint's vocabulary that scripts and scoring need. Raises as `prune` does."""
        tokenizer = Tokenizer.from_file(str(checkpoint.folder / TOKENIZER))
        return prune(tokenizer, scripts, ids_in(write(scoring)))

    @property
    def rows(self) -> NDArray[np.int64]:
        """The kept rows of the embedding table, int64 [tokens]."""
        return np.array(list(self.new_ids), np.int64)

    def renumber(self, data: Any, key: str = "") -> Any:
        """Return JSON data with the new ids, None for removed ones. key: the key whose value `data` is."""
        if key == "added_tokens_decoder":
            return {str(self.new_ids[int(old)]): token for old, token in data.items() if int(old) in self.new_ids}
        if isinstance(data, dict):
            return {name: self.renumber(value, name) for name, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.renumber(value, key) for value in data]
        if key == "vocab_size":
            return len(self.new_ids)
        return self.new_ids.get(data) if isinstance(data, int) and ID_KEYS.fullmatch(key) else data

    def scoring(self, scoring: Scoring) -> Scoring:
        """Return the scoring with the new ids."""
        return read(Scoring, self.renumber(write(scoring)))

    def golden(self, golden: Golden) -> Golden:
        """Return the pairs whose tokens are all kept, with the new ids. Raises InputError if no scored pair is left."""
        data = write(golden)
        data["pairs"] = [pair for pair in data["pairs"] if self.new_ids.keys() >= set(ids_in(pair))]
        kept = read(Golden, self.renumber(data))
        if not kept.scored:
            raise InputError(
                "--scripts leaves no pair to prove the export on, because the model's own prompt or all of its "
                "languages are in other scripts; add these, Latin first of all."
            )
        return kept


def prune(tokenizer: Tokenizer, scripts: Sequence[str], always: Iterable[int]) -> Vocabulary:
    """Keep the tokens whose characters all belong to these scripts (Unicode's names) or to all scripts.

    Bytes, other parts of characters, added tokens, the unknown token and the ids in `always` are kept too.
    Raises InputError for an unknown script, UnsupportedError for a tokenizer model that is not in MODELS.
    """
    data = json.loads(tokenizer.to_str())
    model = data.pop("model")
    if model["type"] not in MODELS:
        raise UnsupportedError(
            f"the tokenizer's model is {model['type']}, and --scripts is for {', '.join(MODELS)}; leave it out."
        )
    letters, decoder = _letters(scripts, tokenizer), tokenizer.decoder

    def is_kept(piece: str) -> bool:
        # A part of a character decodes to the replacement character, which belongs to all scripts.
        text = decoder.decode([piece]) if decoder else piece
        return letters.issuperset(text) or (len(text) == 1 and text.isascii())

    needed = {*always, *ids_in(data), *_needed(model)}
    kept = sorted(needed.union(id_ for piece, id_ in _pieces(model) if is_kept(piece)))
    vocabulary = Vocabulary(new_ids={old: new for new, old in enumerate(kept)}, tokenizer={})
    return replace(vocabulary, tokenizer={**vocabulary.renumber(data), "model": _model(model, vocabulary.new_ids)})


def ids_in(data: Any, key: str = "") -> Iterator[int]:
    """Yield the token ids in JSON data. key: the key whose value `data` is."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from ids_in(value, name)
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from ids_in(value, key)
    elif isinstance(data, int) and ID_KEYS.fullmatch(key):
        yield data


def _letters(scripts: Sequence[str], tokenizer: Tokenizer) -> set[str]:
    """Return the characters of the scripts and of SHARED, and the results of normalizing them."""
    for script in scripts:
        if not SCRIPT.fullmatch(script) or not _is_known(script):
            raise InputError(
                f"--scripts names {script!r}, and Unicode has no such script; Latin, Greek, Cyrillic, Arabic, Hebrew, "
                "Devanagari, Thai, Han, Hiragana, Katakana and Hangul are some that it has."
            )
    wanted = "".join(rf"\p{{Script={script}}}" for script in (*scripts, *SHARED))
    found = regex.findall(f"[{wanted}]", "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000)))))
    normalizer = tokenizer.normalizer
    return {*found, *"".join(normalizer.normalize_str(letter) for letter in found if normalizer)}


def _is_known(script: str) -> bool:
    try:
        return bool(regex.compile(rf"\p{{Script={script}}}"))
    except regex.error:
        return False


def _pieces(model: Mapping[str, Any]) -> list[tuple[str, int]]:
    if model["type"] == "Unigram":
        return [(piece, id_) for id_, (piece, _) in enumerate(model["vocab"])]
    return list(model["vocab"].items())


def _needed(model: Mapping[str, Any]) -> list[int]:
    """Return the unknown token; for Unigram also the least likely piece, by which unknown characters are scored."""
    vocabulary = model["vocab"]
    if model["type"] == "Unigram":
        least = min(range(len(vocabulary)), key=lambda id_: vocabulary[id_][1])
        return [least] if model["unk_id"] is None else [least, model["unk_id"]]
    return [id_ for piece, id_ in vocabulary.items() if piece == model["unk_token"]]


def _model(model: Mapping[str, Any], new_ids: Mapping[int, int]) -> dict[str, Any]:
    """Return the model of tokenizer.json without the removed tokens."""
    if model["type"] == "Unigram":
        kept = [entry for id_, entry in enumerate(model["vocab"]) if id_ in new_ids]
        return {**model, "vocab": kept, "unk_id": new_ids.get(model["unk_id"])}
    vocabulary = {piece: new_ids[id_] for piece, id_ in model["vocab"].items() if id_ in new_ids}
    if model["type"] == "WordPiece":
        return {**model, "vocab": vocabulary}
    inner = len(model["continuing_subword_prefix"] or "")
    merges = [
        [left, right]
        for left, right in model["merges"]
        if left in vocabulary and right in vocabulary and left + right[inner:] in vocabulary
    ]
    return {**model, "vocab": vocabulary, "merges": merges}
