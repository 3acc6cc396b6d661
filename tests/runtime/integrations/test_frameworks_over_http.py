"""The frameworks' own Cohere adapters, pointed at `onnxrank serve`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from haystack import Document as HaystackDocument
from haystack.utils import Secret
from haystack_integrations.components.rankers.cohere import CohereRanker
from langchain_cohere import CohereRerank
from langchain_core.documents import Document
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank as LlamaCohereRerank

from onnxrank import Reranker
from tests.serve.live import live

QUERY = "sort the values of an array along an axis"
TEXTS = (Path(__file__).parents[3] / "docs" / "demo-documents.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def url(demo: Path) -> Iterator[str]:
    with live(demo, options=("--variant", "q4", "--threads", "1")) as server:
        yield server.url


@pytest.fixture(scope="module")
def best(demo: Path) -> list[str]:
    hits = Reranker(demo, variant="q4", threads=1).rank(QUERY, TEXTS, 3)
    return [TEXTS[hit["corpus_id"]] for hit in hits]


def test_langchain(url: str, best: list[str]) -> None:
    compressor = CohereRerank(base_url=url, model="demo", cohere_api_key="none", top_n=3)
    found = compressor.compress_documents([Document(page_content=text) for text in TEXTS], QUERY)
    assert [document.page_content for document in found] == best


def test_llama_index(url: str, best: list[str]) -> None:
    postprocessor = LlamaCohereRerank(base_url=url, model="demo", api_key="none", top_n=3)
    nodes = [NodeWithScore(node=TextNode(text=text), score=0.5) for text in TEXTS]
    found = postprocessor.postprocess_nodes(nodes, query_str=QUERY)
    assert [node.text for node in found] == best


def test_haystack(url: str, best: list[str]) -> None:
    ranker = CohereRanker(model="demo", api_base_url=url, api_key=Secret.from_token("none"), top_k=3)
    found = ranker.run(QUERY, [HaystackDocument(content=text) for text in TEXTS])["documents"]
    assert [document.content for document in found] == best
