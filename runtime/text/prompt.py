"""Encodes texts into prompts, one per pair or text; truncation never removes the fixed prefix and suffix."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxrank.artifact.manifest import Expansion, Prompt, TextPrompt, Texts
from onnxrank.artifact.opening import Artifact
from onnxrank.errors import InputError
from onnxrank.text.tokenizer import TextTokenizer

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPair:
    """The token ids of a prompt in three pieces: the instruction, the query and the document. truncated: whether any
    text was cut. lost: whether nothing is left of the document."""

    instruction: TokenIds
    query: TokenIds
    document: TokenIds
    truncated: bool
    lost: bool = False

    @property
    def token_ids(self) -> TokenIds:
        return self.instruction + self.query + self.document

    @property
    def document_start(self) -> int:
        return len(self.instruction) + len(self.query)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedText:
    """The token ids of one text. attended: how many of them attention sees. truncated: whether its end was cut off."""

    token_ids: TokenIds
    attended: int
    truncated: bool


class PromptEncoder:
    """Encodes pairs for one tokenizer and one prompt."""

    def __init__(self, tokenizer_file: Path, prompt: Prompt, max_length: int) -> None:
        """Raises InputError for a max_length that the prompt alone exceeds."""
        self._tokenizer = TextTokenizer(tokenizer_file)
        self._prompt = prompt
        fixed = len(prompt.prefix_token_ids) + len(prompt.separator_token_ids) + len(prompt.suffix_token_ids)
        self._room = _room(max_length, fixed)

    def pairs(
        self, query: str, documents: Sequence[str], instruction: str | None, *, special_tokens: bool
    ) -> list[EncodedPair]:
        """Encode a query with each of its documents; `instruction` None means the model's default."""
        prompt = self._prompt
        slots = {"query": query, "instruction": _instruction(instruction, prompt.default_instruction)}
        pieces = [_fill(prompt.instruction, slots), _fill(prompt.query, slots)]
        pieces += [_fill(prompt.document, {**slots, "document": text}) for text in documents]
        first, second, *bodies = self._tokenizer.encode(pieces, special_tokens=special_tokens)
        if not prompt.whole:
            return [self._join(first, second, body) for body in bodies]
        shared = shared_tokens(bodies)
        return [self._join(first, second + body[:shared], body[shared:]) for body in bodies]

    def _join(self, instruction: TokenIds, query: TokenIds, document: TokenIds) -> EncodedPair:
        prompt, room = self._prompt, self._room
        if prompt.truncation == "longest_first":
            rooms = longest_first(len(instruction) + len(query), len(document), room)
        else:
            rooms = room, max(0, room - len(instruction) - len(query))
        return EncodedPair(
            instruction=prompt.prefix_token_ids + instruction[: rooms[0]],
            query=query[: max(0, rooms[0] - len(instruction))] + prompt.separator_token_ids,
            document=document[: rooms[1]] + prompt.suffix_token_ids,
            truncated=len(instruction) + len(query) > rooms[0] or len(document) > rooms[1],
            lost=bool(document) and not rooms[1],
        )


class TextEncoder:
    """Encodes queries and documents one by one, for models that embed them separately."""

    @classmethod
    def of(cls, artifact: Artifact) -> "TextEncoder":
        """Return the encoder of an artifact that embeds texts."""
        scoring = artifact.manifest.scoring
        assert scoring.texts
        vectors = scoring.late_interaction
        return cls(artifact.tokenizer, scoring.texts, vectors.expansion if vectors else None)

    def __init__(self, tokenizer_file: Path, texts: Texts, expansion: Expansion | None) -> None:
        """Raises InputError for a max_length that a prompt alone exceeds."""
        self._tokenizer = TextTokenizer(tokenizer_file)
        self._texts = texts
        self._expansion = expansion
        self._rooms = {
            prompt: _room(prompt.max_length, len(prompt.prefix_token_ids) + len(prompt.suffix_token_ids))
            for prompt in (texts.query, texts.document)
        }

    def texts(
        self, texts: Sequence[str], *, is_query: bool, instruction: str | None = None, special_tokens: bool = False
    ) -> list[EncodedText]:
        """Encode texts; `instruction` None means the model's default."""
        prompt = self._texts.query if is_query else self._texts.document
        slots = {"instruction": _instruction(instruction, self._texts.default_instruction)}
        filled = [_fill(prompt.template, {**slots, "text": text}) for text in texts]
        if self._texts.strip:
            filled = [text.strip() for text in filled]
        if self._texts.lower_case:
            filled = [text.lower() for text in filled]
        encoded = self._tokenizer.encode(filled, special_tokens=special_tokens)
        return [self._join(prompt, ids, self._expansion if is_query else None) for ids in encoded]

    def _join(self, prompt: TextPrompt, ids: TokenIds, expansion: Expansion | None) -> EncodedText:
        room = self._rooms[prompt]
        token_ids = prompt.prefix_token_ids + ids[:room] + prompt.suffix_token_ids
        attended = len(token_ids)
        if expansion:
            token_ids += (expansion.token_id,) * (prompt.max_length - attended)
            attended = len(token_ids) if expansion.attend else attended
        return EncodedText(token_ids=token_ids, attended=attended, truncated=len(ids) > room)


def shared_tokens(sequences: Sequence[TokenIds]) -> int:
    """Return the length of the sequences' common prefix, at most one token less than the shortest sequence; 0 for a
    single sequence."""
    if len(sequences) < 2:
        return 0
    first, last = min(sequences), max(sequences)
    longest = min(map(len, sequences)) - 1
    return next((i for i in range(longest) if first[i] != last[i]), max(0, longest))


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """Return how many tokens of two texts remain, by the rule of the tokenizers library: the longer one is cut
    until both have half of the room."""
    if first + second <= room:
        return first, second
    shorter, longer = min(first, second), max(first, second)
    longer = max(shorter, room - shorter)
    if shorter + longer > room:
        shorter = room // 2
        longer = room - shorter
    return (shorter, longer) if first <= second else (longer, shorter)


def _room(max_length: int, fixed: int) -> int:
    if max_length <= fixed:
        raise InputError(
            f"max_length {max_length} leaves no room for text: this prompt alone takes {fixed} tokens; "
            f"give at least {fixed + 1}."
        )
    return max_length - fixed


def _instruction(given: str | None, default: str | None) -> str:
    if given is not None and default is None:
        raise InputError(f"instruction is {given!r:.60}, and this model takes none; leave it out.")
    return (default or "") if given is None else given


def _fill(template: str, slots: Mapping[str, str]) -> str:
    # In one pass, because a text may contain what looks like a slot.
    return re.sub(r"\{(\w+)\}", lambda match: slots.get(match[1], match[0]), template)
