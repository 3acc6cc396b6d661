"""Bodies that are no JSON, or JSON that means harm."""

import pytest
from starlette.exceptions import HTTPException

from onnxrank.serve.http.json_bodies import read_json
from tests.serve.asking import app_of, ask
from tests.serve.fake import FakeScheduler

APP = app_of(FakeScheduler(), max_documents=10)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"query": "a", "documents": ["b"]} x',
        b'{"query": "a", "documents": ["b"], "timeout": NaN}',
        b'{"query": "a", "documents": ["b"], "score_threshold": Infinity}',
        b'{"query": "a", "documents": ["b"], "score_threshold": 1e400}',
        b'{"query": "\xff", "documents": ["b"]}',
        b'{"query": "\\ud800", "documents": ["b"]}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b"1" * 10_000,
        b'{"query": "a", "documents": [' + b"[]," * 5_000 + b"[]]}",
        b"\x00\x01\x02",
        "{}".encode("utf-16"),
    ],
)
def test_every_one_is_refused_in_a_sentence(content: bytes) -> None:
    answer = ask(APP, "/rerank", content=content)
    assert answer.status_code == 400
    assert 0 < len(answer.json()["message"]) < 300


def test_commas_and_brackets_inside_texts_are_no_values() -> None:
    text = 'a, [b], {"c"}, \\" ' * 10_000
    assert ask(APP, "/rerank", {"query": text, "documents": [text]}).status_code == 200


def test_values_are_counted_before_they_are_made() -> None:
    with pytest.raises(HTTPException, match="more than 1020 values"):
        read_json(b"[" + b"0," * 1_100 + b"0]", 1)
    assert len(read_json(b"[" + b"0," * 900 + b"0]", 1)) == 901


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_other_types_are_refused(kind: str) -> None:
    # A page of another origin may send these without a preflight.
    answer = ask(APP, "/rerank", content=b'{"query": "a", "documents": ["b"]}', headers={"content-type": kind})
    assert answer.status_code == 415 and "application/json" in answer.json()["message"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.api+json"])
def test_json_by_another_name(kind: str) -> None:
    content = b'{"query": "a", "documents": ["b"]}'
    assert ask(APP, "/rerank", content=content, headers={"content-type": kind}).status_code == 200
