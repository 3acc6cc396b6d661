"""`onnxrank evaluate`: ranking measures of a retriever, alone and with a reranker."""

from pathlib import Path
from typing import Annotated

import typer

from onnxrank.artifact.schema import write
from onnxrank.cli.console import show_json, show_table, warn
from onnxrank.cli.index import CorpusOption, open_cascade, read_entries
from onnxrank.cli.options import (
    JsonOption,
    RerankerOption,
    RetrieveOption,
    RetrieverOption,
    RetrieverVariantOption,
    SkipOption,
    ThreadsOption,
    VariantOption,
)
from onnxrank.progress import progress
from onnxrank.quality.corpus import read_queries
from onnxrank.quality.measures import ROUTING
from onnxrank.quality.routing import measure_cascade


def evaluate(
    retriever: RetrieverOption,
    corpus: CorpusOption,
    queries: Annotated[Path, typer.Option(help="JSON Lines: `query`, and `relevant`, the id or ids that answer it.")],
    reranker: RerankerOption = None,
    index: Annotated[Path | None, typer.Option(help="Index of this corpus; computed if not given.")] = None,
    retrieve: RetrieveOption = 50,
    retriever_variant: RetrieverVariantOption = None,
    variant: VariantOption = None,
    threads: ThreadsOption = None,
    skip_bad: SkipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure a retriever, alone and with a reranker: cluster@1, nDCG@10, ret@5, MRR@10.

    Documents of the same `cluster` as a relevant one count for cluster@1 and, with half the gain, for nDCG@10.

    `onnxrank evaluate --retriever artifacts/embedding --reranker artifacts/matrix --corpus c.jsonl --queries q.jsonl`
    """
    cascade = open_cascade(retriever, retriever_variant, reranker, variant, threads)
    entries = read_entries(corpus, skip_bad)
    queries_, skipped = read_queries(queries, skip_bad=skip_bad)
    if skipped:
        warn(f"{skipped} lines of {queries} were skipped.")
    if index:
        cascade.load(index)
        cascade.check_corpus([entry.document for entry in entries])
    else:
        cascade.index([entry.document for entry in entries])
    with progress("evaluating", len(queries_)) as done:
        found = measure_cascade(cascade, entries, queries_, retrieve=retrieve, done=done)
    if as_json:
        show_json(write(found))
        return
    stages = {"retriever": found.retrieved, **({"reranked": found.reranked} if found.reranked else {})}
    rows = [[stage, *(f"{values[name]:.3f}" for name in ROUTING)] for stage, values in stages.items()]
    show_table(f"{found.queries} queries, {retrieve} retrieved of {len(entries)}", ["", *ROUTING], rows)
