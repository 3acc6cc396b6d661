"""The commands around retrieval: index a corpus, search it, and measure retriever and reranker on it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from onnxrank.cascade import Cascade
from onnxrank.console import say, shorten, show_json, show_table, warn
from onnxrank.corpus import Entry, read_corpus, read_queries
from onnxrank.embedder import Embedder
from onnxrank.measures import ROUTING
from onnxrank.progress import progress
from onnxrank.reranker import Reranker
from onnxrank.routing import evaluate as evaluate_cascade
from onnxrank.schema import write

app = typer.Typer()

RetrieverOption = Annotated[str, typer.Option(help="Artifact of an embedding model: folder or hub id.")]
RerankerOption = Annotated[str | None, typer.Option(help="Artifact of a reranker; retriever alone by default.")]
CorpusOption = Annotated[Path, typer.Option(help="JSON Lines: `text`, or fields such as `name` and `description`.")]
IndexOption = Annotated[Path, typer.Option(help="Folder of the index.")]
SkipOption = Annotated[bool, typer.Option("--skip-bad", help="Leave out lines that cannot be read.")]
RetrieverVariantOption = Annotated[str | None, typer.Option(help="Variant of the retriever.")]
VariantOption = Annotated[str | None, typer.Option(help="Variant of the reranker.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads inside one operator.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


@app.command()
def index(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    retriever: RetrieverOption,
    corpus: CorpusOption,
    reranker: Annotated[
        str | None, typer.Option(help="Artifact whose way to read documents with fields is used.")
    ] = None,
    retriever_variant: RetrieverVariantOption = None,
    threads: ThreadsOption = None,
    skip_bad: SkipOption = False,
) -> None:
    """Embed a corpus and keep its vectors on disk.

    `onnxrank index capabilities --retriever artifacts/qwen3-embedding --corpus capabilities.jsonl`
    """
    cascade = _cascade(retriever, retriever_variant, reranker, None, threads)
    entries = _corpus(corpus, skip_bad)
    cascade.index([entry.document for entry in entries])
    cascade.save(out)
    say(f"wrote {out}: {len(entries):,} documents")


@app.command()
def search(
    folder: Annotated[Path, typer.Argument(help="Folder that `onnxrank index` wrote.")],
    query: Annotated[str, typer.Argument(help="What to look for.")],
    retriever: RetrieverOption,
    reranker: RerankerOption = None,
    retrieve: Annotated[int, typer.Option(min=1, help="Documents to retrieve before reranking.")] = 50,
    top_k: Annotated[int, typer.Option(min=1, help="Documents to show.")] = 10,
    retriever_variant: RetrieverVariantOption = None,
    variant: VariantOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retrieve from an index and rerank the best.

    `onnxrank search capabilities "convert a pdf" --retriever artifacts/qwen3-embedding --reranker artifacts/matrix`
    """
    cascade = _cascade(retriever, retriever_variant, reranker, variant, threads)
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


@app.command()
def evaluate(
    retriever: RetrieverOption,
    corpus: CorpusOption,
    queries: Annotated[Path, typer.Option(help="JSON Lines: `query`, and `relevant`, the id or ids that answer it.")],
    reranker: RerankerOption = None,
    index: Annotated[Path | None, typer.Option(help="Index of this corpus; made anew by default.")] = None,
    retrieve: Annotated[int, typer.Option(min=1, help="Documents to retrieve before reranking.")] = 50,
    retriever_variant: RetrieverVariantOption = None,
    variant: VariantOption = None,
    threads: ThreadsOption = None,
    skip_bad: SkipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a retriever, and what a reranker adds: cluster@1, nDCG@10, ret@5, MRR@10.

    Documents of the same `cluster` as a relevant one count for cluster@1 and, with half the gain, for nDCG@10.

    `onnxrank evaluate --retriever artifacts/embedding --reranker artifacts/matrix --corpus c.jsonl --queries q.jsonl`
    """
    cascade = _cascade(retriever, retriever_variant, reranker, variant, threads)
    entries = _corpus(corpus, skip_bad)
    asked, skipped = read_queries(queries, skip_bad=skip_bad)
    if skipped:
        warn(f"{skipped} lines of {queries} were skipped.")
    if index:
        cascade.load(index)
        cascade.check_corpus([entry.document for entry in entries])
    else:
        cascade.index([entry.document for entry in entries])
    with progress("evaluating", len(asked)) as done:
        found = evaluate_cascade(cascade, entries, asked, retrieve=retrieve, done=done)
    if as_json:
        show_json(write(found))
        return
    stages = {"retriever": found.retrieved, **({"reranked": found.reranked} if found.reranked else {})}
    rows = [[stage, *(f"{values[name]:.3f}" for name in ROUTING)] for stage, values in stages.items()]
    show_table(f"{found.queries} queries, {retrieve} retrieved of {len(entries)}", ["", *ROUTING], rows)


def _cascade(
    retriever: str, retriever_variant: str | None, reranker: str | None, variant: str | None, threads: int | None
) -> Cascade:
    return Cascade(
        Embedder(retriever, variant=retriever_variant, threads=threads),
        Reranker(reranker, variant=variant, threads=threads) if reranker else None,
    )


def _corpus(path: Path, skip_bad: bool) -> list[Entry]:
    entries, skipped = read_corpus(path, skip_bad=skip_bad)
    if skipped:
        warn(f"{skipped} lines of {path} were skipped.")
    return entries
