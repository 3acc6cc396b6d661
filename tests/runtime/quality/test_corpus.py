import json
import re
from pathlib import Path

import pytest

from onnxrank.errors import InputError
from onnxrank.quality.corpus import Layout, read_corpus, read_plain, read_queries


def write(folder: Path, *lines: str) -> Path:
    path = folder / "corpus.jsonl"
    # Escaped surrogates stand for bytes that are not UTF-8.
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
    return path


def test_documents_are_texts_or_fields(tmp_path: Path) -> None:
    fields = '{"name": "n", "description": "d", "cluster": 3}'
    path = write(tmp_path, '{"id": "a", "text": "one"}', "", '"two\u2028lines"', fields)
    entries, skipped = read_corpus(path)
    assert skipped == 0
    assert [(entry.id, entry.document, entry.cluster) for entry in entries] == [
        ("a", "one", None),
        ("3", "two\u2028lines", None),
        ("4", {"name": "n", "description": "d"}, "3"),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "is no JSON"),
        ("7", "is int, not an object"),
        ('{"txt": 1}', "has no `text` that is a string"),
        ('{"id": "a", "text": "again"}', "has the id 'a' of an earlier line"),
        ('{"text": 1, "id": "b"}', "has no `text` that is a string"),
        (r'"\ud800"', r"holds '\\ud800', which is no character"),
        (r'{"id": "\ud800", "text": "t"}', r"holds '\\ud800', which is no character"),
        (r'{"name": "\ud800"}', r"holds '\\ud800', which is no character"),
        ("[" * 100_000, "is nested too deeply"),
        ("\udce9", r"is not in UTF-8 \(byte 0xe9 at position 0\)"),
    ],
)
def test_a_broken_line_is_named_and_the_others_kept_on_request(tmp_path: Path, line: str, problem: str) -> None:
    path = write(tmp_path, '{"id": "a", "text": "one"}', line, '{"text": "three"}')
    with pytest.raises(InputError, match=rf"corpus\.jsonl, line 2 {problem}.*--skip-bad"):
        read_corpus(path)
    entries, skipped = read_corpus(path, skip_bad=True)
    assert [entry.document for entry in entries] == ["one", "three"] and skipped == 1


def test_queries_have_one_or_more_relevant_documents(tmp_path: Path) -> None:
    path = write(tmp_path, '{"query": "q", "relevant": "a"}', '{"query": "r", "relevant": ["a", 2]}')
    queries, _ = read_queries(path)
    assert [query.relevant for query in queries] == [("a",), ("a", "2")]
    for line in (
        '{"relevant": "a"}',
        '{"query": "q"}',
        '{"query": "q", "relevant": []}',
        '{"query": "q", "relevant": true}',
        "7",
    ):
        with pytest.raises(InputError, match="line 1 has no `"):
            read_queries(write(tmp_path, line))


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl cannot be read"):
        read_corpus(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'"caf\xe9"')
    with pytest.raises(InputError, match=r"latin\.jsonl, line 1 is not in UTF-8 \(byte 0xe9 at position 4\)"):
        read_corpus(tmp_path / "latin.jsonl")
    with pytest.raises(InputError, match="holds nothing that can be read; give JSON Lines"):
        read_corpus(write(tmp_path, "", "{"), skip_bad=True)


FIELDS = {"title": "Sort", "body": "sorts an array", "year": 2020}


def test_a_json_array_is_read_by_its_items(tmp_path: Path) -> None:
    path = tmp_path / "corpus.json"
    path.write_text(json.dumps(["one", {"id": "b", "text": "two"}, 7], indent=1))
    with pytest.raises(InputError, match=r"corpus\.json, item 3 is int, not an object"):
        read_corpus(path)
    entries, skipped = read_corpus(path, skip_bad=True)
    assert [(entry.id, entry.document) for entry in entries] == [("1", "one"), ("b", "two")] and skipped == 1
    path.write_text("[]")
    with pytest.raises(InputError, match="holds nothing that can be read; give JSON Lines or a JSON array"):
        read_corpus(path)


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    for text in ('"caf\u00e9"', '["caf\u00e9"]'):
        path = tmp_path / "corpus.jsonl"
        path.write_text(text, encoding="utf-8-sig")
        assert [entry.document for entry in read_corpus(path)[0]] == ["caf\u00e9"]
    path.write_text("caf\u00e9\r\n\nth\u00e9", encoding="utf-8-sig")
    assert read_plain(path) == (["caf\u00e9", "th\u00e9"], 0)


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        (Layout(text_field="body"), "sorts an array"),
        (Layout(template="{title}: {body}"), "Sort: sorts an array"),
        (Layout(own_template="{body} ({title})"), "sorts an array (Sort)"),
        (Layout(template="{title}: {body}", own_template="{body} ({title})"), "Sort: sorts an array"),
        (Layout(text_field="title", own_template="{body} ({title})"), "Sort"),
    ],
)
def test_a_layout_makes_a_text_of_fields(tmp_path: Path, layout: Layout, text: str) -> None:
    entries, _ = read_corpus(write(tmp_path, json.dumps(FIELDS), '"plain"'), layout=layout)
    assert [entry.document for entry in entries] == [text, "plain"]


@pytest.mark.parametrize(
    ("layout", "problem"),
    [
        (Layout(), "has no `text` that is a string; it has title, body: name one with --text-field, or join them"),
        (Layout(text_field="year"), "has no `year` that is a string"),
        (
            Layout(template="{title} {year}"),
            "has no `year` that is a string, and documents are read as",
        ),
        (Layout(text_field="content", own_template="{title}"), "has no `content` that is a string"),
    ],
)
def test_fields_that_make_no_text_are_named_with_the_line(tmp_path: Path, layout: Layout, problem: str) -> None:
    path = write(tmp_path, '"plain"', json.dumps(FIELDS))
    with pytest.raises(InputError, match=re.escape(f"corpus.jsonl, line 2 {problem}")):
        read_corpus(path, layout=layout)
    assert read_corpus(path, layout=layout, skip_bad=True)[1] == 1
