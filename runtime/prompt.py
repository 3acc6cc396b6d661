"""Text to token ids: one prompt per pair, cut so that prefix and suffix always survive."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer

from onnxrank.errors import ArtifactError, InputError
from onnxrank.manifest import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedQuery:
    """Token ids that come before every document: the instruction's (shared by queries), then the query's."""

    instruction: tuple[int, ...]
    query: tuple[int, ...]
    truncated: bool

    @property
    def token_ids(self) -> tuple[int, ...]:
        return self.instruction + self.query


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedDocument:
    """Token ids of one document and the prompt's suffix; `truncated` if its end was cut off."""

    token_ids: tuple[int, ...]
    truncated: bool


class PromptEncoder:
    """Encodes queries and documents for one tokenizer and one prompt."""

    def __init__(self, tokenizer_file: Path, prompt: Prompt, max_length: int) -> None:
        """Read `tokenizer.json`. Raises ArtifactError if it cannot be read, InputError for a tiny max_length."""
        self._file = tokenizer_file
        self._prompt = prompt
        self._budget = max_length - len(prompt.prefix_token_ids) - len(prompt.suffix_token_ids)
        if self._budget < 1:
            raise InputError(
                f"max_length {max_length} leaves no room for text: this prompt alone takes "
                f"{max_length - self._budget} tokens; give at least {max_length - self._budget + 1}."
            )

    def query(self, query: str, instruction: str | None, *, special_tokens: bool) -> EncodedQuery:
        """Encode what comes before the documents; `instruction` None means the model's default."""
        if instruction is None:
            instruction = self._prompt.default_instruction
        pieces = [
            _fill(self._prompt.instruction, "instruction", instruction),
            _fill(self._prompt.query, "query", query),
        ]
        first, second = self._encode(pieces, special_tokens)
        room = self._budget - len(first)
        return EncodedQuery(
            instruction=self._prompt.prefix_token_ids + first[: self._budget],
            query=second[: max(0, room)],
            truncated=len(second) > room,
        )

    def documents(
        self, documents: Sequence[str], query: EncodedQuery, *, special_tokens: bool
    ) -> list[EncodedDocument]:
        """Encode documents to stand behind `query`; each is cut from the right to fit."""
        pieces = [_fill(self._prompt.document, "document", text) for text in documents]
        room = self._budget + len(self._prompt.prefix_token_ids) - len(query.token_ids)
        return [
            EncodedDocument(
                token_ids=ids[:room] + self._prompt.suffix_token_ids,
                truncated=query.truncated or len(ids) > room,
            )
            for ids in self._encode(pieces, special_tokens)
        ]

    def _encode(self, texts: Sequence[str], special_tokens: bool) -> list[tuple[int, ...]]:
        # Most texts hold no added token; then both tokenizers agree, and the second need not be built.
        plain = not special_tokens and any(self._added_token.search(text) for text in texts)
        tokenizer = self._plain if plain else self._full
        return [tuple(e.ids) for e in tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    @cached_property
    def _full(self) -> Tokenizer:
        try:
            return _without_limits(Tokenizer.from_file(str(self._file)))
        except Exception as error:  # tokenizers raises bare Exception
            raise ArtifactError(f"{self._file} is no tokenizer ({error}); export the artifact again.") from error

    @cached_property
    def _plain(self) -> Tokenizer:
        """The same vocabulary without added tokens, so that no text can write control tokens."""
        data = json.loads(self._file.read_text(encoding="utf-8"))
        data["added_tokens"] = []
        data["post_processor"] = None
        return _without_limits(Tokenizer.from_str(json.dumps(data, ensure_ascii=False)))

    @cached_property
    def _added_token(self) -> re.Pattern[str]:
        added = self._full.get_added_tokens_decoder().values()
        if any(token.normalized for token in added):
            # Such a token can appear only after normalization, which a search of the raw text cannot see.
            return re.compile("")
        return re.compile("|".join(re.escape(token.content) for token in added) or r"(?!)")

    def __getstate__(self) -> dict[str, object]:
        keep = ("_file", "_prompt", "_budget")
        return {name: value for name, value in self.__dict__.items() if name in keep}


def _without_limits(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _fill(template: str, slot: str, text: str) -> str:
    before, _, after = template.partition("{" + slot + "}")
    return before + text + after
