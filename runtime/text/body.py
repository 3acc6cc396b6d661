"""`Body`: an encoded text between the fixed words of its template, and what is kept of it where it is too long."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from tokenizers import Encoding

TokenIds = tuple[int, ...]
TruncationSide = Literal["right", "left"]

# Neighbouring windows share this part of their tokens, so that few sentences are torn apart in both.
OVERLAP = 1 / 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How a long text is cut. most: tokens of its own, besides the template's; None for as many as fit. side: of the
    text that is cut off."""

    most: int | None = None
    side: TruncationSide = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is kept of a body.

    own: how many of the text's own tokens are kept, and how many it has; None if nothing was cut, because then they are
    not counted. span: the characters of the text that a window has; None if the body is no window.
    """

    token_ids: TokenIds
    own: tuple[int, int] | None = None
    span: tuple[int, int] | None = None

    @property
    def lost(self) -> bool:
        """Whether nothing of the text is left."""
        return self.own is not None and self.own[0] == 0


class Body:
    """A text in its template, encoded."""

    def __init__(self, encoding: Encoding, starts: Sequence[int]) -> None:
        """starts: where each character of the text starts in the encoded string, and where the last one ends."""
        self._encoding = encoding
        self._starts = starts

    @cached_property
    def token_ids(self) -> TokenIds:
        return tuple(self._encoding.ids)

    @cached_property
    def own(self) -> range:
        """The positions of the text's own tokens. A token of the template's last and the text's first character is the
        text's."""
        start, end = self._starts[0], self._starts[-1]
        offsets = self._offsets
        first = next((i for i, (_, stop) in enumerate(offsets) if stop > start), len(offsets))
        last = next((i for i in range(len(offsets), first, -1) if offsets[i - 1][0] < end), first)
        return range(first, last)

    def length(self, cut: Cut) -> int:
        """Return how many tokens there are if no more than `cut.most` of the text's own are kept."""
        return len(self.token_ids) - (0 if cut.most is None else max(0, len(self.own) - cut.most))

    def cut(self, room: int, cut: Cut) -> Kept:
        """Return at most `room` tokens. Cutting on the right goes through the template's last words too, as in the
        models' reference code; cutting on the left keeps all words of the template."""
        ids = self.token_ids
        if self.length(cut) == len(ids) <= room:
            return Kept(token_ids=ids)
        kept = self._most(cut)
        if cut.side == "left":
            kept = _last(kept, max(0, self._spare(room)))
        sequence = self._around(kept)[:room]
        # On the right, `room` may have cut more.
        own = max(0, min(len(kept), len(sequence) - self.own.start))
        return Kept(token_ids=sequence, own=(own, len(self.own)))

    def windows(self, room: int, cut: Cut) -> list[Kept]:
        """Return windows of at most `room` tokens, each in the whole template, that together have all of the text but
        what `cut.most` leaves out; one without a span if the text fits.

        A window ends between two characters; neighbours overlap by OVERLAP.
        """
        most, spare = self._most(cut), self._spare(room)
        if len(most) <= spare or spare < 1:
            return [self.cut(room, cut)]
        own = (len(most), len(self.own)) if len(most) < len(self.own) else None
        return [
            Kept(token_ids=self._around(window), own=own, span=self._span(window))
            for window in _divide(most, spare, self._splits)
        ]

    @cached_property
    def _offsets(self) -> list[tuple[int, int]]:
        return self._encoding.offsets

    def _most(self, cut: Cut) -> range:
        own = self.own
        if cut.most is None:
            return own
        return own[: cut.most] if cut.side == "right" else _last(own, cut.most)

    def _spare(self, room: int) -> int:
        """Return how many of the text's own tokens fit beside the template's."""
        return room - (len(self.token_ids) - len(self.own))

    def _around(self, kept: range) -> TokenIds:
        """Return the tokens with only these of the text's own."""
        ids = self.token_ids
        return ids[: self.own.start] + ids[kept.start : kept.stop] + ids[self.own.stop :]

    def _span(self, window: range) -> tuple[int, int]:
        """Return the characters of the text from the window's first token to the token behind its last."""
        characters = len(self._starts) - 1
        first = 0 if window.start == self.own.start else self._character(window.start)
        return first, characters if window.stop == self.own.stop else self._character(window.stop)

    def _character(self, token: int) -> int:
        return max(0, bisect_right(self._starts, self._offsets[token][0]) - 1)

    def _splits(self, token: int) -> bool:
        """Whether a cut before this token would divide a character."""
        return self._offsets[token][0] < self._offsets[token - 1][1]


def _last(tokens: range, count: int) -> range:
    return tokens[max(0, len(tokens) - count) :]


def _divide(tokens: range, size: int, splits: Callable[[int], bool]) -> Iterator[range]:
    """Yield windows of at most `size` tokens, which cover all."""
    start = end = tokens.start
    while start + size < tokens.stop:
        end = _between(max(start, end), start + size, splits)
        yield range(start, end)
        start = max(start + 1, _between(start, end - int(size * OVERLAP), splits))
    # The last window is as long as the others.
    earlier = range(tokens.stop - size, start)
    yield range(next((place for place in earlier if not splits(place)), start), tokens.stop)


def _between(start: int, end: int, splits: Callable[[int], bool]) -> int:
    """Return the last place up to `end` that divides no character, or `end` if there is none behind `start`."""
    return next((place for place in range(end, start, -1) if not splits(place)), end)
