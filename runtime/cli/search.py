"""`onnxrank search`: retrieves from an index and reranks the best."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from onnxrank.cli.console import shorten, show_json, show_table
from onnxrank.cli.index import open_cascade
from onnxrank.cli.options import (
    JsonOption,
    RerankerOption,
    RetrieveOption,
    RetrieverOption,
    RetrieverVariantOption,
    ThreadsOption,
    VariantOption,
)


def search(
    folder: Annotated[Path, typer.Argument(help="Folder that `onnxrank index` wrote.")],
    query: Annotated[str, typer.Argument(help="What to look for.")],
    retriever: RetrieverOption,
    reranker: RerankerOption = None,
    retrieve: RetrieveOption = 50,
    top_k: Annotated[int, typer.Option(min=1, help="Documents to show.")] = 10,
    retriever_variant: RetrieverVariantOption = None,
    variant: VariantOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retrieve from an index and rerank the best.

    `onnxrank search capabilities "convert a pdf" --retriever artifacts/qwen3-embedding --reranker artifacts/matrix`
    """
    cascade = open_cascade(retriever, retriever_variant, reranker, variant, threads)
    cascade.load(folder)
    if reranker:
        hits = cascade.search(query, top_k=top_k, retrieve=retrieve)
    else:
        hits = cascade.retrieve(query, top_k=top_k)
    if as_json:
        show_json(hits)
        return
    rows = [[str(i), f"{hit['score']:.4f}", escape(shorten(hit["text"]))] for i, hit in enumerate(hits, 1)]
    show_table(repr(query), ["", "score", "document"], rows)
