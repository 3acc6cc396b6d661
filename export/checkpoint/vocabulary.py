"""A vocabulary without the tokens of scripts that nobody asked for: fewer rows of the embedding table to download.

A token whose text is a part of a text in the kept scripts is kept too, so every merge and piece that such a text needs
is still there, and it is encoded as before, up to the numbering. Other texts fall back to bytes or the unknown token.
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
# The scripts of what all scripts share: digits, punctuation, emoji; accents.
SHARED = ("Common", "Inherited")
SCRIPT = re.compile("[A-Z][A-Za-z_]+")
# Where token ids stand in the manifest, golden.json, config.json and, but for its model, tokenizer.json.
ID_KEYS = re.compile(r"(\w+_)?token_ids?|ids?|pad_id|cls|sep")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What is kept of a vocabulary. new_ids: by old id, in order. tokenizer: the tokenizer.json of the new ids."""

    new_ids: Mapping[int, int]
    tokenizer: Mapping[str, Any]

    @classmethod
    def of(cls, checkpoint: Checkpoint, scoring: Scoring, scripts: Sequence[str]) -> "Vocabulary":
        """Return what the scripts and the scoring need of a checkpoint's vocabulary. Raises as `prune` does."""
        tokenizer = Tokenizer.from_file(str(checkpoint.folder / TOKENIZER))
        return prune(tokenizer, scripts, ids_in(write(scoring)))

    @property
    def rows(self) -> NDArray[np.int64]:
        """The rows of the embedding table that are kept, int64 [tokens]."""
        return np.array(list(self.new_ids), np.int64)

    def renumber(self, data: Any, key: str = "") -> Any:
        """Return JSON data with the new ids, and None for one that is gone. key: what `data` stands under."""
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
        """Return the pairs whose tokens are all kept, with the new ids. Raises InputError if none of them is scored."""
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
    """Keep the tokens whose characters all belong to these scripts, as Unicode names them, or to every script.

    Bytes, other parts of characters, added tokens, the unknown token and the ids in `always` are kept too.
    Raises InputError for an unknown script, UnsupportedError for a tokenizer of another model than MODELS.
    """
    data = json.loads(tokenizer.to_str())
    model = data.pop("model")
    if model["type"] not in MODELS:
        raise UnsupportedError(
            f"the tokenizer's model is {model['type']}, and --scripts is for {', '.join(MODELS)}; leave it out."
        )
    letters, decoder = _letters(scripts, tokenizer), tokenizer.decoder

    def is_kept(piece: str) -> bool:
        # A part of a character decodes to the replacement character, which belongs to every script.
        text = decoder.decode([piece]) if decoder else piece
        return letters.issuperset(text) or (len(text) == 1 and text.isascii())

    needed = {*always, *ids_in(data), *_needed(model)}
    kept = sorted(needed.union(id_ for piece, id_ in _pieces(model) if is_kept(piece)))
    vocabulary = Vocabulary(new_ids={old: new for new, old in enumerate(kept)}, tokenizer={})
    return replace(vocabulary, tokenizer={**vocabulary.renumber(data), "model": _model(model, vocabulary.new_ids)})


def ids_in(data: Any, key: str = "") -> Iterator[int]:
    """Yield the token ids in JSON data. key: what `data` stands under."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from ids_in(value, name)
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from ids_in(value, key)
    elif isinstance(data, int) and ID_KEYS.fullmatch(key):
        yield data


def _letters(scripts: Sequence[str], tokenizer: Tokenizer) -> set[str]:
    """The characters of the scripts and of all scripts, and what the tokenizer's normalizer makes of them."""
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
    """The unknown token, and of Unigram the least likely piece, on whose score that of unknown characters depends."""
    vocabulary = model["vocab"]
    if model["type"] == "Unigram":
        least = min(range(len(vocabulary)), key=lambda id_: vocabulary[id_][1])
        return [least] if model["unk_id"] is None else [least, model["unk_id"]]
    return [id_ for piece, id_ in vocabulary.items() if piece == model["unk_token"]]


def _model(model: Mapping[str, Any], new_ids: Mapping[int, int]) -> dict[str, Any]:
    """The model of tokenizer.json without what is gone."""
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
