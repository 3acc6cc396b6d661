"""The adapters inside the real frameworks, and the page about them."""

from pathlib import Path
from typing import Any

import pytest
from haystack import Document as HaystackDocument
from haystack import Pipeline
from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore, TextNode

from onnxrank import Reranker
from onnxrank.errors import InputError
from onnxrank.integrations.haystack import OnnxrankRanker
from onnxrank.integrations.langchain import OnnxrankCompressor
from onnxrank.integrations.llama_index import OnnxrankPostprocessor
from tests.markdown import PAGES, blocks

QUERY = "sort the values of an array along an axis"
TEXTS = (Path(__file__).parents[3] / "docs" / "demo-documents.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def reranker(demo: Path) -> Reranker:
    return Reranker(demo, variant="q4", threads=1)


def expected(reranker: Reranker, **options: Any) -> list[tuple[str, float]]:
    return [(TEXTS[hit["corpus_id"]], hit["score"]) for hit in reranker.rank(QUERY, TEXTS, **options)]


@pytest.mark.parametrize("options", [{}, {"instruction": "Find recipes."}])
def test_langchain(reranker: Reranker, options: dict[str, str]) -> None:
    documents = [Document(page_content=text, metadata={"line": i}, id=str(i)) for i, text in enumerate(TEXTS)]
    found = OnnxrankCompressor(model=reranker, top_n=3, **options).compress_documents(documents, QUERY)
    scores = [(document.page_content, document.metadata["relevance_score"]) for document in found]
    assert scores == expected(reranker, top_k=3, **options)
    assert all(document.page_content == TEXTS[document.metadata["line"]] for document in found)
    assert [document.id for document in found] == [str(document.metadata["line"]) for document in found]
    assert not any("relevance_score" in document.metadata for document in documents)


@pytest.mark.parametrize("options", [{}, {"instruction": "Find recipes."}])
def test_llama_index(reranker: Reranker, options: dict[str, str]) -> None:
    nodes = [NodeWithScore(node=TextNode(text=text, id_=str(i)), score=0.5) for i, text in enumerate(TEXTS)]
    postprocessor = OnnxrankPostprocessor(model=reranker, top_n=3, **options)
    found = postprocessor.postprocess_nodes(nodes, query_str=QUERY)
    assert [(node.text, node.score) for node in found] == expected(reranker, top_k=3, **options)
    assert all(node.score == 0.5 for node in nodes)
    with pytest.raises(InputError, match="the query is missing"):
        postprocessor.postprocess_nodes(nodes)


def test_llama_index_reads_metadata_unless_it_is_excluded(reranker: Reranker) -> None:
    nodes = [
        NodeWithScore(node=TextNode(text="text", metadata={"title": title}, excluded_embed_metadata_keys=excluded))
        for title, excluded in (("sort an array", []), ("sort an array", ["title"]), ("det", ["title"]))
    ]
    found = OnnxrankPostprocessor(model=reranker).postprocess_nodes(nodes, query_str=QUERY)
    assert found[0].score != found[1].score == found[2].score


def test_haystack(reranker: Reranker, demo: Path) -> None:
    documents = [HaystackDocument(content=text, meta={"line": i}) for i, text in enumerate(TEXTS)]
    pipeline = Pipeline()
    pipeline.add_component("ranker", OnnxrankRanker(str(demo), variant="q4", top_k=3, threads=1))
    # As it is deployed: from its description.
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["onnxrank.integrations.haystack"])
    found = again.run({"ranker": {"query": QUERY, "documents": documents}})["ranker"]["documents"]
    assert [(document.content, document.score) for document in found] == expected(reranker, top_k=3)
    assert all(document.content == TEXTS[document.meta["line"]] for document in found)
    ranker = OnnxrankRanker(str(demo), variant="q4", instruction="Find recipes.", threads=1)
    (best,) = ranker.run(QUERY, documents, top_k=1)["documents"]
    assert (best.content, best.score) == expected(reranker, top_k=1, instruction="Find recipes.")[0]
    # A table or an image has no text.
    assert ranker.run(QUERY, [HaystackDocument(content=None)])["documents"][0].score is not None


@pytest.mark.parametrize("block", blocks(PAGES["docs/integrations.md"], "python"))
def test_the_pages_blocks(
    block: str, demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(demo.parents[1])
    exec(compile(block, "docs/integrations.md", "exec"), {})
    shown = [line.split(" ", 1) for line in capsys.readouterr().out.splitlines()]
    assert len(shown) == 3 and shown == sorted(shown, reverse=True)
    assert "sort" in shown[0][1] and "sort" in shown[1][1]
