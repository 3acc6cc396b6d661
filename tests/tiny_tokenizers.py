"""Small tokenizers of the kinds that encoders use, trained on the golden texts."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from onnxrank.export.proof.golden_pairs import ANSWER, FILE, FILLER, read_pairs
from tests.exports import FEW

TEXTS = [*dict.fromkeys(text for pair in read_pairs(FILE, FEW) for text in (pair.query, pair.document)), FILLER, ANSWER]


def wordpiece() -> Tokenizer:
    """Like BERT's: [CLS] a [SEP] b [SEP], with token types."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = _by_frequency(
        word for text in TEXTS for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    )
    letters = sorted({*"".join(words)})
    pieces = dict.fromkeys([*special, *words[:200], *letters, *(f"##{letter}" for letter in letters)])
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=_ids(tokenizer, "[CLS]", "[SEP]")
    )
    return tokenizer


def unigram() -> Tokenizer:
    """Like XLM-RoBERTa's: <s> a </s></s> b </s>, with control tokens among the pieces."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    # Words and characters, the rarer the less likely.
    words = _by_frequency(word for text in TEXTS for word in f" {text}".replace(" ", " \u2581").split())
    pieces = [*words, *sorted({*"".join(TEXTS), "\u2581"} - {" "})]
    vocabulary = [(piece, 0.0) for piece in special]
    vocabulary += [(piece, -math.log(rank)) for rank, piece in enumerate(dict.fromkeys(pieces), 2)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=special.index("<unk>")))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=_ids(tokenizer, "<s>", "</s>")
    )
    return tokenizer


def byte_level(*, prefixes: Sequence[str] = ()) -> Tokenizer:
    """Like ModernBERT's: bytes, [CLS] a [SEP] b [SEP], and added tokens for runs of spaces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    _train(
        tokenizer,
        trainers.BpeTrainer(vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.add_tokens([AddedToken("    ", normalized=True, special=False)])
    tokenizer.add_tokens([AddedToken(prefix, normalized=False) for prefix in prefixes])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=_ids(tokenizer, "[CLS]", "[SEP]")
    )
    return tokenizer


def qwen(*, words: Sequence[str] = ()) -> Tokenizer:
    """Like Qwen2's: bytes after its regular expression, no template, chat markers. words: more training texts."""
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
        r"\s+(?!\S)|\s+"
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    _train(tokenizer, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False), words)
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, *, max_length: int, inputs: Sequence[str] = ()) -> None:
    """Write the tokenizer's files."""
    bert = tokenizer.token_to_id("[CLS]") is not None
    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if bert else ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
    keys = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "model_input_names": ["input_ids", *inputs, "attention_mask"],
        **dict(zip(keys, names, strict=True)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _by_frequency(words: Iterable[str]) -> list[str]:
    """Replaces the trainers of WordPiece and Unigram, whose results differ from run to run."""
    counts = Counter(words)
    return sorted(counts, key=lambda word: (-counts[word], word))


def _train(tokenizer: Tokenizer, trainer: trainers.Trainer, words: Sequence[str] = ()) -> None:
    tokenizer.train_from_iterator([*TEXTS, *words], trainer)


def _ids(tokenizer: Tokenizer, *tokens: str) -> list[tuple[str, int]]:
    vocabulary = tokenizer.get_vocab()
    return [(token, vocabulary[token]) for token in tokens]
