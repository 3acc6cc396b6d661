"""Reading queries with the documents to rank for each."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from onnxrank.errors import InputError
from onnxrank.quality.candidates import Candidates, read_candidates
from onnxrank.quality.corpus import Layout


def write(tmp_path: Path, *lines: Any) -> Path:
    path = tmp_path / "my.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def candidates(query: str, *documents: str, instruction: str | None = None, relevance: Any = None) -> Candidates:
    return Candidates(query=query, instruction=instruction, documents=documents, relevance=relevance)


def test_lists_and_plain_lines_are_joined_by_query_and_instruction(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"query": "a", "document": "1", "relevance": 1},
        {"query": "b", "documents": ["3", "4"]},
        {"query": "a", "documents": ["2", "1"], "relevance": [0, 3]},
        {"query": "a", "document": "1", "instruction": "other"},
        {"query": "b", "document": "5", "relevance": 1},
    )
    assert read_candidates(path, layout=Layout()) == (
        [
            candidates("a", "1", "2", "1", relevance=(1, 0, 3)),
            candidates("b", "3", "4", "5"),
            candidates("a", "1", instruction="other"),
        ],
        0,
    )


def test_documents_with_fields_become_texts(tmp_path: Path) -> None:
    documents = [{"title": "T", "body": "B"}, "plain", {"text": "x", "title": "T"}]
    layout = Layout(own_template="{title}: {body}")
    path = write(tmp_path, {"query": "a", "documents": documents})
    assert read_candidates(path, layout=layout)[0] == [candidates("a", "T: B", "plain", "x")]
    path = write(tmp_path, {"query": "a", "document": {"body": "B"}})
    with pytest.raises(InputError, match=r"line 1 has no `title` that is a string"):
        read_candidates(path, layout=layout)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("7", "has no `query` that is a string"),
        ("{", "is no JSON"),
        ({"query": 7, "document": "a"}, "has no `query` that is a string"),
        ({"query": "a"}, "has neither a `document` nor `documents`"),
        ({"query": "a", "document": "b", "documents": ["c"]}, "or has both"),
        ({"query": "a", "documents": "b"}, "a list of them"),
        ({"query": "a", "documents": []}, "has no documents"),
        ({"query": "a", "documents": [7]}, "has the document 7, which is neither a string nor an object"),
        ({"query": "a", "document": None}, "has the document None"),
        ({"query": "a", "document": "\ud800"}, r"holds '\ud800', which is no character"),
        ({"query": "\ud800", "document": "a"}, "which is no character"),
        ({"query": "a", "document": "b", "instruction": 7}, "has the instruction 7, which is no string"),
        ({"query": "a", "documents": ["b", "c"], "relevance": [1]}, "has 1 grades of relevance for 2 documents"),
        ({"query": "a", "document": "b", "relevance": True}, "has the relevance True, which is no whole number from 0"),
        ({"query": "a", "document": "b", "relevance": -1}, "has the relevance -1"),
        ({"query": "a", "document": "b", "relevance": 0.5}, "has the relevance 0.5"),
    ],
)
def test_a_bad_line_is_named_or_skipped(tmp_path: Path, line: Any, problem: str) -> None:
    path = write(tmp_path, {"query": "a", "document": "b"}, line)
    with pytest.raises(InputError, match=rf"my\.jsonl, line 2 .*{re.escape(problem)}"):
        read_candidates(path, layout=Layout())
    assert read_candidates(path, layout=Layout(), skip_bad=True) == ([candidates("a", "b")], 1)
