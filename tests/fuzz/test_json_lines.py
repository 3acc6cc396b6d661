"""Files that the command line reads: documents, corpora, queries with their relevant documents."""

import json
from functools import partial
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from onnxrank.quality.corpus import read_corpus, read_plain, read_queries
from onnxrank.quality.text_file import looks_like_json
from onnxrank.text.documents import texts_of
from tests.fuzz.campaign import attempt, cases
from tests.fuzz.mutations import VALUES, damaged_bytes

ENTRY = st.fixed_dictionaries(
    {}, optional={name: VALUES for name in ("id", "text", "name", "description", "cluster", "query", "relevant")}
)
LINES = st.lists(st.one_of(ENTRY, VALUES).map(json.dumps), max_size=4).map(lambda lines: "\n".join(lines).encode())
GOOD = b'{"id": "a", "text": "t"}\n{"query": "q", "relevant": ["a"]}\n'


def test_damaged_json_lines(tmp_path: Path) -> None:
    file, plain = tmp_path / "lines.jsonl", tmp_path / "lines.txt"

    @cases(short=100)
    @given(LINES | damaged_bytes(GOOD))
    @example(b'{"query": "q", "relevant": true}')
    @example(b"[" * 20_000)
    def check(content: bytes) -> None:
        file.write_bytes(content)
        plain.write_bytes(content)
        for skip in (False, True):
            attempt("corpora", partial(read_texts, file, skip))
            attempt("queries", partial(read_queries, file, skip_bad=skip))
        attempt("text files", lambda: texts_of(read_plain(plain)[0], None, "documents"))
        attempt("standard input", partial(looks_like_json, content))

    check()


def read_texts(file: Path, skip_bad: bool) -> None:
    entries, _ = read_corpus(file, skip_bad=skip_bad)
    texts_of([entry.document for entry in entries], "{name}: {description}", "corpus")
