"""The requests of all engines, as texts for ours and as token ids for peers, with the same tokens."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxrank.artifact.manifest import Prompt
from onnxrank.text.prompt import PromptEncoder

# The prompt adds 3 tokens to the query and 9 to a document.
QUERY_TOKENS = 14 - 3
# Documents, and the average number of tokens of each (a document has 0.7 to 1.3 times as many).
W1, W2, W3 = (50, 24), (20, 120), (100, 60)
LONG_DOCUMENT = 8192 - 60 - 14 - 9


def write_workloads(path: Path, sizes: Mapping[str, tuple[int, int]], tokenizer: Path, prompt: Prompt) -> None:
    """Write requests by name: `query` and `documents` as texts; as token ids, `prefix`, which all documents have, and
    `documents_ids`, which follow it in the prompts. The first `instruction_tokens` of the prefix are the same in every
    request."""
    encoder = PromptEncoder(tokenizer, prompt, 1 << 16)
    words = _words(tokenizer)
    requests: dict[str, dict[str, Any]] = {}
    for name, (count, tokens) in sizes.items():
        rng = np.random.default_rng(0)
        query = _text(rng, words, QUERY_TOKENS)
        spread = np.linspace(0.7, 1.3, count) if count > 1 else np.ones(1)
        lengths = rng.permutation((spread * tokens).round().astype(int)).tolist()
        documents = [_text(rng, words, length) for length in lengths]
        pairs = encoder.pairs(query, documents, None, special_tokens=False)
        assert [len(pair.document) - 9 for pair in pairs] == lengths and len(pairs[0].query) == QUERY_TOKENS + 3
        requests[name] = {
            "query": query,
            "documents": documents,
            "instruction_tokens": len(pairs[0].instruction),
            "prefix": pairs[0].instruction + pairs[0].query,
            "documents_ids": [pair.document for pair in pairs],
        }
    path.write_text(json.dumps(requests), encoding="utf-8")


def _words(tokenizer: Path) -> list[str]:
    """Return words that are one token each after a space."""
    vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    candidates = [piece[1:] for piece in vocabulary if piece[0] == "Ġ" and piece[1:].isascii() and piece[1:].islower()]
    return [word for word in candidates if word.isalpha() and 4 <= len(word) <= 8]


def _text(rng: np.random.Generator, words: Sequence[str], tokens: int) -> str:
    return " ".join(words[i] for i in rng.integers(0, len(words), tokens))
