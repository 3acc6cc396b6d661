"""`onnxrank index`: embeds a corpus and writes its vectors to disk."""

from pathlib import Path
from typing import Annotated

import typer

from onnxrank.cli.console import say
from onnxrank.cli.documents import CorpusOption, TemplateOption, TextFieldOption, layout_of, read_entries
from onnxrank.cli.options import ProgressOption, RetrieverOption, RetrieverVariantOption, SkipOption, ThreadsOption
from onnxrank.cli.retrieval import open_cascade


def index(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    retriever: RetrieverOption,
    corpus: CorpusOption = None,
    reranker: Annotated[
        str | None, typer.Option(help="Artifact whose document template turns fields into text.")
    ] = None,
    text_field: TextFieldOption = None,
    document_template: TemplateOption = None,
    retriever_variant: RetrieverVariantOption = None,
    kind: Annotated[
        str, typer.Option(help="flat compares with every vector; hnsw and ivf are faster on large corpora.")
    ] = "flat",
    threads: ThreadsOption = None,
    skip_bad: SkipOption = False,
    progress: ProgressOption = None,
) -> None:
    """Embed a corpus and write its vectors to disk. The index remembers its retriever.

    `onnxrank index capabilities --retriever artifacts/qwen3-embedding --corpus capabilities.jsonl`

    `onnxrank index notes --retriever artifacts/demo-retriever --corpus notes.json --text-field body --progress`

    `onnxrank index posts --retriever artifacts/embedding --corpus posts.jsonl --kind hnsw`

    `onnxrank index posts --retriever artifacts/embedding --corpus posts.json --document-template "{title}: {body}"`
    """
    cascade = open_cascade(retriever, retriever_variant, reranker, None, threads, kind)
    layout = layout_of(text_field, document_template, cascade.document_template)
    entries = read_entries(corpus, layout, skip_bad)
    cascade.index([e.document for e in entries], ids=[e.id for e in entries], show_progress_bar=progress)
    cascade.save(out)
    say(f"wrote {out}: {len(entries):,} documents")
