"""`onnxrank evaluate`: ranking measures of a retriever, alone and with a reranker."""

from pathlib import Path
from typing import Annotated

import typer

from onnxrank.artifact.schema import write
from onnxrank.cascade import read_card
from onnxrank.cli.console import misused, show_json, show_table
from onnxrank.cli.documents import (
    CorpusOption,
    TemplateOption,
    TextFieldOption,
    layout_of,
    read_entries,
    warn_of_skipped,
)
from onnxrank.cli.options import (
    JsonOption,
    ProgressOption,
    RerankerOption,
    RetrieveOption,
    RetrieverVariantOption,
    SkipOption,
    ThreadsOption,
    VariantOption,
)
from onnxrank.cli.retrieval import open_cascade, open_indexed
from onnxrank.progress import progress as progress_bar
from onnxrank.quality.corpus import read_queries
from onnxrank.quality.measures import ROUTING
from onnxrank.quality.routing import measure_cascade


def evaluate(
    queries: Annotated[Path, typer.Option(help="JSON Lines: `query`, and `relevant`, the id or ids that answer it.")],
    retriever: Annotated[
        str | None, typer.Option(help="Artifact of an embedding model: folder or hub id; an --index remembers it.")
    ] = None,
    corpus: CorpusOption = None,
    reranker: RerankerOption = None,
    index: Annotated[Path | None, typer.Option(help="Index of this corpus; computed if not given.")] = None,
    retrieve: RetrieveOption = 50,
    retriever_variant: RetrieverVariantOption = None,
    variant: VariantOption = None,
    threads: ThreadsOption = None,
    text_field: TextFieldOption = None,
    document_template: TemplateOption = None,
    skip_bad: SkipOption = False,
    progress: ProgressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a retriever, alone and with a reranker: cluster@1, nDCG@10, ret@5, MRR@10.

    Documents of the same `cluster` as a relevant one count for cluster@1 and, with half the gain, for nDCG@10.

    `onnxrank evaluate --retriever artifacts/embedding --reranker artifacts/matrix --corpus c.jsonl --queries q.jsonl`

    `onnxrank evaluate --index capabilities --corpus capabilities.jsonl --queries queries.jsonl`
    """
    if index:
        cascade = open_indexed(index, read_card(index), retriever, retriever_variant, reranker, variant, threads)
    elif retriever:
        cascade = open_cascade(retriever, retriever_variant, reranker, variant, threads)
    else:
        raise misused("no retriever was given; name one with --retriever, or an index that was made with one.")
    layout = layout_of(text_field, document_template, cascade.document_template)
    entries = read_entries(corpus, layout, skip_bad)
    queries_, skipped = read_queries(queries, skip_bad=skip_bad)
    warn_of_skipped(skipped, str(queries))
    if index:
        cascade.check_corpus([entry.document for entry in entries])
    else:
        cascade.index([entry.document for entry in entries], show_progress_bar=progress)
    with progress_bar("evaluating", len(queries_), progress) as done:
        found = measure_cascade(cascade, entries, queries_, retrieve=retrieve, done=done)
    if as_json:
        show_json(write(found))
        return
    stages = {"retriever": found.retrieved, **({"reranked": found.reranked} if found.reranked else {})}
    rows = [[stage, *(f"{values[name]:.3f}" for name in ROUTING)] for stage, values in stages.items()]
    show_table(f"{found.queries} queries, {retrieve} retrieved of {len(entries)}", ["", *ROUTING], rows)
