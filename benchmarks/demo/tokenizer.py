"""Trains a small byte-level BPE tokenizer whose tokens never span the places where the prompt is cut."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from benchmarks.demo.prompt import INSTRUCTION, SYSTEM

VOCABULARY = 6000
PAD, END = "<|endoftext|>", "<|im_end|>"
SPECIAL = [PAD, "<|im_start|>", END]
PLAIN = ["<think>", "</think>"]
# After lower-casing. Each is an ordinary token of the vocabulary that the pre-tokenizer separates, not an added token,
# so that a document may contain it without changing the prompt.
MARKERS = ("<instruct>:", "<query>:", "<document>:")


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Return a tokenizer trained on `texts` and on the prompt, so that its markers become tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex("(?<=[a-z])(?=[A-Z])"), " "),  # camelCase is two words
            normalizers.Lowercase(),
        ]
    )
    words = "<(?:instruct|query|document)>:|\\n+|\\p{L}+|\\p{N}|[^\\s\\p{L}\\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("[ \\t_]+"), "removed"),
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    prompt = f"{SYSTEM}{INSTRUCTION} yes no\n<Document>:"
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        special_tokens=[*SPECIAL, *PLAIN],
    )
    tokenizer.train_from_iterator([*texts, *[prompt] * 500], trainer)
    # Training treats all as special, so that nothing merges with them; like Qwen's, the file does not mark the thinking
    # tokens as special.
    data = json.loads(tokenizer.to_str())
    for token in data["added_tokens"]:
        token["special"] = token["content"] in SPECIAL
    return Tokenizer.from_str(json.dumps(data))


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": END,
        "padding_side": "left",
        "model_max_length": 4096,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
