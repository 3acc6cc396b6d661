"""`onnxrank search`: retrieves from an index and reranks the best."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from onnxrank.cascade import read_card
from onnxrank.cli.console import shorten, show_json, show_table
from onnxrank.cli.options import (
    IndexedRetrieverOption,
    JsonOption,
    RerankerOption,
    RetrieveOption,
    RetrieverVariantOption,
    ThreadsOption,
    VariantOption,
)
from onnxrank.cli.retrieval import open_indexed


def search(
    folder: Annotated[Path, typer.Argument(help="Folder that `onnxrank index` wrote.")],
    query: Annotated[str, typer.Argument(help="What to look for.")],
    retriever: IndexedRetrieverOption = None,
    reranker: RerankerOption = None,
    retrieve: RetrieveOption = 50,
    top_k: Annotated[int, typer.Option(min=1, help="Documents to show.")] = 10,
    retriever_variant: RetrieverVariantOption = None,
    variant: VariantOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retrieve from an index and, if a reranker is given, rerank the best.

    `onnxrank search capabilities "convert a pdf"`

    `onnxrank search capabilities "convert a pdf" --reranker artifacts/matrix --retrieve 100 --top-k 5 --json`
    """
    cascade = open_indexed(folder, read_card(folder), retriever, retriever_variant, reranker, variant, threads)
    if reranker:
        hits = cascade.search(query, top_k=top_k, retrieve=retrieve)
    else:
        hits = cascade.retrieve(query, top_k=top_k)
    if as_json:
        show_json(hits)
        return
    rows = [[str(i), f"{hit['score']:.4f}", escape(shorten(hit["text"]))] for i, hit in enumerate(hits, 1)]
    show_table(repr(query), ["", "score", "document"], rows)
