from pathlib import Path

import pytest

from onnxrank.errors import InputError
from onnxrank.quality.corpus import read_corpus, read_queries


def write(folder: Path, *lines: str) -> Path:
    path = folder / "corpus.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
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
        "[]",
    ):
        with pytest.raises(InputError, match="line 1 has no `"):
            read_queries(write(tmp_path, line))


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl cannot be read"):
        read_corpus(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'"caf\xe9"')
    with pytest.raises(InputError, match=r"latin\.jsonl cannot be read"):
        read_corpus(tmp_path / "latin.jsonl")
    with pytest.raises(InputError, match="holds nothing that can be read; give JSON Lines"):
        read_corpus(write(tmp_path, "", "{"), skip_bad=True)
