"""What is kept of a text that is too long: one part, or windows."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from onnxrank.text.body import OVERLAP, Body, Cut
from tests.tiny import DEMO
from tests.tiny_tokenizers import byte_level, unigram, wordpiece

BEFORE, AFTER = "Document: ", " (end)"
TEXTS = st.text(st.sampled_from("ab é光合\U0001f331\u0301\n ."), max_size=60)
ANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@cache
def tokenizer_for(kind: str) -> Tokenizer:
    kinds = {"wordpiece": wordpiece, "unigram": unigram, "byte level": byte_level}
    return kinds[kind]() if kind in kinds else Tokenizer.from_file(kind)


@pytest.fixture(params=["demo", "qwen3", "gemma2", "wordpiece", "unigram", "byte level"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    name: str = request.param
    if name in ("qwen3", "gemma2"):
        path: Path = request.getfixturevalue(f"{name}_tokenizer")
        return tokenizer_for(str(path))
    return tokenizer_for(str(DEMO / "tokenizer.json") if name == "demo" else name)


def body_of(tokenizer: Tokenizer, text: str, before: str = BEFORE, after: str = AFTER) -> Body:
    encoding = tokenizer.encode(before + text + after, add_special_tokens=False)
    return Body(encoding, range(len(before), len(before) + len(text) + 1))


@ANY
@given(text=TEXTS, room=st.integers(20, 60), most=st.none() | st.integers(1, 40), left=st.booleans())
def test_windows_cover_the_text(tokenizer: Tokenizer, text: str, room: int, most: int | None, left: bool) -> None:
    body = body_of(tokenizer, text)
    cut = Cut(most=most, side="left" if left else "right")
    windows = body.windows(room, cut)
    own, ids = body.own, body.token_ids
    head, tail = ids[: own.start], ids[own.stop :]
    if len(head) + len(tail) >= room:
        assert len(windows) == 1
        return
    assert all(len(window.token_ids) <= room for window in windows)
    if len(windows) == 1:
        assert windows[0] == body.cut(room, cut) and windows[0].span is None
        return
    # Each is the template around a run of the text's own tokens, and the runs follow each other without a gap.
    wanted = ids[own.start : own.stop]
    if most is not None:
        wanted = wanted[-most:] if left else wanted[:most]
    size = room - len(head) - len(tail)
    covered, text_covered = 0, None
    for window in windows:
        part = window.token_ids[len(head) : len(window.token_ids) - len(tail)]
        assert window.token_ids == head + part + tail and 0 < len(part) <= size
        starts = [i for i in range(covered + 1) if wanted[i : i + len(part)] == part]
        assert starts and max(starts) + len(part) > covered
        covered = max(starts) + len(part)
        assert window.own == ((len(wanted), len(own)) if len(wanted) < len(own) else None)
        assert window.span
        first, end = window.span
        assert 0 <= first <= end <= len(text) and (text_covered is None or first <= text_covered)
        text_covered = end
    assert covered == len(wanted)
    if most is None:
        assert windows[0].span and windows[0].span[0] == 0 and text_covered == len(text)


@ANY
@given(text=TEXTS)
def test_a_windows_span_is_its_text(tokenizer: Tokenizer, text: str) -> None:
    body = body_of(tokenizer, text, before="", after="")
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    for window in body.windows(16, Cut()):
        if window.span is None:
            continue
        ids = window.token_ids
        starts = [i for i in body.own if body.token_ids[i : i + len(ids)] == ids]
        spans = [(offsets[i][0], offsets[i + len(ids) - 1][1]) for i in starts]
        # A span goes on to the next token, over characters that have none.
        assert any(window.span[0] <= start and end <= window.span[1] for start, end in spans)


def test_windows_overlap_and_do_not_divide_characters(qwen3_tokenizer: Path) -> None:
    text = "\U00013000\U00013001 " * 200
    body = body_of(tokenizer_for(str(qwen3_tokenizer)), text)
    spans = [window.span for window in body.windows(100, Cut())]
    assert len(spans) > 3
    for before, after in pairwise(spans):
        assert before and after
        shared = before[1] - after[0]
        assert shared >= (before[1] - before[0]) * OVERLAP / 2
    sizes = [end - start for start, end in filter(None, spans)]
    # The last one is as long as the others.
    assert max(sizes) - min(sizes) <= 3


@ANY
@given(text=TEXTS, room=st.integers(1, 60), most=st.none() | st.integers(1, 40))
def test_a_cut_keeps_one_side(tokenizer: Tokenizer, text: str, room: int, most: int | None) -> None:
    body = body_of(tokenizer, text)
    own, ids = body.own, body.token_ids
    middle = ids[own.start : own.stop]
    for side in ("right", "left"):
        kept = body.cut(room, Cut(most=most, side=side))
        fits = most is None or len(middle) <= most
        assert (kept.own is None) == (len(ids) <= room and fits)
        assert len(kept.token_ids) <= room
        if kept.own is None:
            assert kept.token_ids == ids
        elif side == "right":
            capped = middle if most is None else middle[:most]
            assert kept.token_ids == (ids[: own.start] + capped + ids[own.stop :])[:room]
        elif (spare := room - len(ids) + len(middle)) >= 0:
            count = min(spare, len(middle) if most is None else most)
            assert kept.token_ids == ids[: own.start] + middle[len(middle) - count :] + ids[own.stop :]
            assert kept.own == (count, len(middle)) and kept.lost == (count == 0)
