"""Encodes texts into prompts, one per pair, text or window of a long one; truncation never removes the fixed prefix and
suffix."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from onnxrank.artifact.manifest import Expansion, Prompt, TextPrompt, Texts
from onnxrank.artifact.opening import Artifact
from onnxrank.errors import ArtifactError, InputError
from onnxrank.text.body import Body, Cut, Kept, TokenIds
from onnxrank.text.tokenizer import TextTokenizer

UNCUT = Cut()


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPair:
    """The token ids of a prompt in three pieces: the instruction, the query and the document.

    truncated: whether any text was cut. own, span: of the document; see `Kept`. lost: whether nothing is left of it.
    """

    instruction: TokenIds
    query: TokenIds
    document: TokenIds
    truncated: bool
    own: tuple[int, int] | None = None
    span: tuple[int, int] | None = None
    lost: bool = False

    @property
    def token_ids(self) -> TokenIds:
        return self.instruction + self.query + self.document

    @property
    def document_start(self) -> int:
        return len(self.instruction) + len(self.query)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedText:
    """The token ids of one text. attended: how many of them attention sees. own, span: see `Kept`."""

    token_ids: TokenIds
    attended: int
    own: tuple[int, int] | None = None
    span: tuple[int, int] | None = None

    @property
    def truncated(self) -> bool:
        """Whether a part of the text was cut off."""
        return self.own is not None


class PromptEncoder:
    """Encodes pairs for one tokenizer and one prompt."""

    def __init__(self, tokenizer_file: Path, prompt: Prompt, max_length: int) -> None:
        """Raises InputError for a max_length that the prompt alone exceeds."""
        self._tokenizer = TextTokenizer(tokenizer_file)
        self._prompt = prompt
        fixed = len(prompt.prefix_token_ids) + len(prompt.separator_token_ids) + len(prompt.suffix_token_ids)
        self._room = _room(max_length, fixed)

    def pairs(
        self,
        query: str,
        documents: Sequence[str],
        instruction: str | None,
        *,
        special_tokens: bool,
        cut: Cut = UNCUT,
    ) -> list[EncodedPair]:
        """Encode a query with each of its documents; `instruction` None means the model's default."""
        encoded = self._pairs(
            query, documents, instruction, special_tokens, cut, lambda body, room: [body.cut(room, cut)]
        )
        return [pair for (pair,) in encoded]

    def windows(
        self, query: str, documents: Sequence[str], instruction: str | None, *, special_tokens: bool, cut: Cut = UNCUT
    ) -> list[list[EncodedPair]]:
        """Encode a query with each window of each document; documents that fit have one, as in `pairs`."""
        return self._pairs(
            query, documents, instruction, special_tokens, cut, lambda body, room: body.windows(room, cut)
        )

    def _pairs(
        self,
        query: str,
        documents: Sequence[str],
        instruction: str | None,
        special_tokens: bool,
        cut: Cut,
        keep: Callable[[Body, int], list[Kept]],
    ) -> list[list[EncodedPair]]:
        prompt = self._prompt
        slots = {"query": query, "instruction": _instruction(instruction, prompt.default_instruction)}
        before, after = _around(prompt.document, "{document}", slots)
        texts = [_fill(prompt.instruction, slots), _fill(prompt.query, slots)]
        texts += [before + document + after for document in documents]
        first, second, *others = self._tokenizer.encodings(texts, special_tokens=special_tokens)
        instruction_ids, query_ids = tuple(first.ids), tuple(second.ids)
        start = len(before)
        bodies = [
            Body(encoding, range(start, start + len(document) + 1))
            for document, encoding in zip(documents, others, strict=True)
        ]
        rooms = [self._rooms(len(instruction_ids) + len(query_ids), body.length(cut)) for body in bodies]
        kept = [keep(body, room) for body, (_, room) in zip(bodies, rooms, strict=True)]
        shared = shared_tokens([one.token_ids for ones in kept for one in ones]) if prompt.whole else 0
        return [
            [self._join(instruction_ids, query_ids, one, room, shared) for one in ones]
            for ones, (room, _) in zip(kept, rooms, strict=True)
        ]

    def _rooms(self, before: int, document: int) -> tuple[int, int]:
        """Return how many tokens remain of instruction and query, and of the document."""
        if self._prompt.truncation == "longest_first":
            return longest_first(before, document, self._room)
        return self._room, max(0, self._room - before)

    def _join(self, instruction: TokenIds, query: TokenIds, kept: Kept, room: int, shared: int) -> EncodedPair:
        """room: of instruction and query. shared: how many tokens of what is kept are the query's."""
        prompt = self._prompt
        return EncodedPair(
            instruction=prompt.prefix_token_ids + instruction[:room],
            query=query[: max(0, room - len(instruction))] + kept.token_ids[:shared] + prompt.separator_token_ids,
            document=kept.token_ids[shared:] + prompt.suffix_token_ids,
            truncated=len(instruction) + len(query) > room or kept.own is not None,
            own=kept.own,
            span=kept.span,
            lost=kept.lost,
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
        self,
        texts: Sequence[str],
        *,
        is_query: bool,
        instruction: str | None = None,
        special_tokens: bool = False,
        cut: Cut = UNCUT,
    ) -> list[EncodedText]:
        """Encode texts; `instruction` None means the model's default."""
        prompt = self._texts.query if is_query else self._texts.document
        bodies = self._bodies(prompt, texts, instruction, special_tokens)
        expansion = self._expansion if is_query else None
        return [self._join(prompt, body.cut(self._rooms[prompt], cut), expansion) for body in bodies]

    def windows(
        self, documents: Sequence[str], *, special_tokens: bool = False, cut: Cut = UNCUT
    ) -> list[list[EncodedText]]:
        """Encode each window of each document; documents that fit have one, as in `texts`."""
        prompt = self._texts.document
        bodies = self._bodies(prompt, documents, None, special_tokens)
        return [[self._join(prompt, kept, None) for kept in body.windows(self._rooms[prompt], cut)] for body in bodies]

    def _bodies(
        self, prompt: TextPrompt, texts: Sequence[str], instruction: str | None, special_tokens: bool
    ) -> list[Body]:
        slots = {"instruction": _instruction(instruction, self._texts.default_instruction)}
        before, after = _around(prompt.template, "{text}", slots)
        prepared = [self._prepared(before, text, after) for text in texts]
        encoded = self._tokenizer.encodings([string for string, _ in prepared], special_tokens=special_tokens)
        return [Body(encoding, starts) for encoding, (_, starts) in zip(encoded, prepared, strict=True)]

    def _prepared(self, before: str, text: str, after: str) -> tuple[str, Sequence[int]]:
        """Return the string to encode, and where each character of the text starts in it; see `Body`."""
        filled = before + text + after
        starts: Sequence[int] = range(len(before), len(before) + len(text) + 1)
        if self._texts.strip:
            shift = len(filled) - len(filled.lstrip())
            filled = filled.strip()
            starts = range(starts[0] - shift, starts[-1] - shift + 1)
        if self._texts.lower_case:
            lower = filled.lower()
            if len(lower) != len(filled):  # a few letters become two
                places = list(accumulate((len(letter.lower()) for letter in filled), initial=0))
                starts = [places[min(max(start, 0), len(filled))] for start in starts]
            filled = lower
        return filled, starts

    def _join(self, prompt: TextPrompt, kept: Kept, expansion: Expansion | None) -> EncodedText:
        token_ids = prompt.prefix_token_ids + kept.token_ids + prompt.suffix_token_ids
        attended = len(token_ids)
        if expansion:
            token_ids += (expansion.token_id,) * (prompt.max_length - attended)
            attended = len(token_ids) if expansion.attend else attended
        return EncodedText(token_ids=token_ids, attended=attended, own=kept.own, span=kept.span)


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


def _around(template: str, slot: str, slots: Mapping[str, str]) -> tuple[str, str]:
    """Return what a template has before and after a slot, filled."""
    before, found, after = template.partition(slot)
    if not found:
        raise ArtifactError(f"the prompt {template!r:.80} has no {slot}; export the artifact again.")
    return _fill(before, slots), _fill(after, slots)


def _fill(template: str, slots: Mapping[str, str]) -> str:
    # In one pass, because a text may contain what looks like a slot.
    return re.sub(r"\{(\w+)\}", lambda match: slots.get(match[1], match[0]), template)
