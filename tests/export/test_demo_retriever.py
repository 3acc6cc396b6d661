"""The demo retriever, from its checkpoint in the package to `onnxrank evaluate`, without a network."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.demo.retrieval import held_out, write
from onnxrank.cli.app import app
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import Options
from onnxrank.progress import progress
from tests.tiny import DEMO

# export/demo_retriever/README.md records 0.633; the margin is for processors that round differently.
LEAST_NDCG = 0.62


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("retriever") / "demo-retriever"
    options = Options(variants=("fp32",))
    export(locate("demo-retriever"), out, family=None, options=options, force=False, progress=progress)
    return out


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_demo_retriever_finds_held_out_documentation(retriever: Path, tmp_path: Path) -> None:
    texts, relevant = held_out(DEMO / "evaluation.jsonl")
    corpus, queries, index = tmp_path / "corpus.jsonl", tmp_path / "queries.jsonl", tmp_path / "index"
    write(corpus, [{"id": str(i), "text": text} for i, text in enumerate(texts)])
    write(queries, [{"query": query, "relevant": str(i)} for query, i in relevant.items()])
    run("index", index, "--retriever", retriever, "--corpus", corpus)
    found = json.loads(run("evaluate", "--index", index, "--corpus", corpus, "--queries", queries, "--json"))
    assert found["retrieved"]["nDCG@10"] > LEAST_NDCG
    query, right = next(iter(relevant.items()))
    hits = json.loads(run("search", index, query, "--json"))
    assert str(right) in [hit["id"] for hit in hits]
