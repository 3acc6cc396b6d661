"""`onnxrank index`, `search` and `evaluate`: the index knows its retriever and the documents' ids."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from onnxrank import progress
from onnxrank.cli.app import app
from onnxrank.errors import ArtifactError, InputError
from tests.exports import export_tiny, write_checkpoint
from tests.stand_in_hub import COMMIT, StandInHub
from tests.tiny_families import qwen3_embedding

QUERY = "sort an array"
POSTS = [{"id": "s", "title": "Sort", "body": "sorts an array"}, {"id": "m", "title": "Mean", "body": "is the average"}]


def run(*arguments: object, stdin: str = "") -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], input=stdin, catch_exceptions=False)


def found(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retriever")
    checkpoint = write_checkpoint(folder / "checkpoint", qwen3_embedding)
    export_tiny(checkpoint, folder / "artifact", variants=("fp32", "int8"))
    return folder / "artifact"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "posts.json"
    path.write_text(json.dumps(POSTS))
    return path


@pytest.fixture
def index(retriever: Path, corpus: Path, tmp_path: Path) -> Path:
    made = run(
        "index", tmp_path / "index", "--retriever", retriever, "--retriever-variant", "fp32", "--corpus", corpus,
        "--document-template", "{title}: {body}",
    )  # fmt: skip
    assert "2 documents" in made.stdout
    return tmp_path / "index"


def test_indexing_reports_every_batch(
    retriever: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    corpus.write_text(json.dumps([f"text {'word ' * i}" for i in range(40)]))
    shown = run("index", tmp_path / "index", "--retriever", retriever, "--corpus", corpus, "--progress").stderr
    lines = [line for line in shown.splitlines() if line.startswith("indexing: ")]
    assert len(lines) > 1 and lines[-1] == "indexing: 40 of 40"


def test_search_opens_the_indexs_own_retriever(index: Path) -> None:
    hits = found("search", index, QUERY)
    assert {(hit["id"], hit["text"]) for hit in hits} == {("s", "Sort: sorts an array"), ("m", "Mean: is the average")}


def test_search_takes_the_place_of_a_retriever_that_has_moved(index: Path, retriever: Path, tmp_path: Path) -> None:
    hits = found("search", index, QUERY)
    card = json.loads((index / "cascade.json").read_text())
    assert card["artifact"] == str(retriever) and card["variant"] == "fp32"
    moved = shutil.copytree(retriever, tmp_path / "moved")
    (index / "cascade.json").write_text(json.dumps({**card, "artifact": str(tmp_path / "gone")}))
    with pytest.raises(InputError, match=r"made with the retriever .*gone, which cannot be opened; .*--retriever"):
        run("search", index, QUERY)
    assert found("search", index, QUERY, "--retriever", moved) == hits


def test_search_opens_a_retriever_on_the_hub_at_its_commit(
    hub: StandInHub, retriever: Path, corpus: Path, tmp_path: Path
) -> None:
    files = {p.relative_to(retriever).as_posix(): p.read_bytes() for p in retriever.rglob("*") if p.is_file()}
    hub.add("owner/retriever", files)
    run("index", tmp_path / "index", "--retriever", "owner/retriever", "--corpus", corpus, "--text-field", "body")
    card = json.loads((tmp_path / "index" / "cascade.json").read_text())
    assert (card["artifact"], card["revision"], card["variant"]) == ("owner/retriever", COMMIT, "int8")
    assert {hit["id"] for hit in found("search", tmp_path / "index", QUERY)} == {"s", "m"}


def test_other_weights_in_the_retrievers_place_are_refused(index: Path) -> None:
    card = json.loads((index / "cascade.json").read_text())
    (index / "cascade.json").write_text(json.dumps({**card, "variant": "int8"}))
    with pytest.raises(ArtifactError, match=r"of other weights than this retriever, .*\(int8\)"):
        run("search", index, QUERY)


def test_an_index_of_an_earlier_format_is_named(index: Path) -> None:
    (index / "cascade.json").write_text('{"format": 2}')
    with pytest.raises(ArtifactError, match="is an index of format 2, not 3; index the corpus again"):
        run("search", index, QUERY)


def test_evaluate_reads_the_same_documents(index: Path, retriever: Path, corpus: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.json"
    queries.write_text(json.dumps([{"query": QUERY, "relevant": "s"}]))
    options = ("--corpus", corpus, "--queries", queries, "--document-template", "{title}: {body}")
    indexed = found("evaluate", "--index", index, *options)
    assert indexed == found("evaluate", "--retriever", retriever, "--retriever-variant", "fp32", *options)
    with pytest.raises(InputError, match="the index was made of another corpus"):
        run("evaluate", "--index", index, *options[:-2], "--text-field", "body")


def test_a_corpus_may_be_piped_and_has_to_be_given(retriever: Path, tmp_path: Path) -> None:
    make = ("index", tmp_path / "index", "--retriever", retriever)
    assert "1 documents" in run(*make, stdin='"one"').stdout
    nothing = run(*make)
    assert nothing.exit_code == 2 and "no corpus was given, and standard input is empty" in nothing.stderr
    alone = run("evaluate", "--queries", tmp_path / "q.jsonl")
    assert alone.exit_code == 2 and "no retriever was given; name one with --retriever" in alone.stderr
