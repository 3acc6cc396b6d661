"""`onnxrank index`: embeds a corpus and writes its vectors to disk."""

from pathlib import Path
from typing import Annotated

import typer

from onnxrank.cascade import Cascade
from onnxrank.cli.console import say, warn
from onnxrank.cli.options import RetrieverOption, RetrieverVariantOption, SkipOption, ThreadsOption
from onnxrank.embedder import Embedder
from onnxrank.quality.corpus import Entry, read_corpus
from onnxrank.reranker import Reranker

CorpusOption = Annotated[Path, typer.Option(help="JSON Lines: `text`, or fields such as `name` and `description`.")]


def index(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    retriever: RetrieverOption,
    corpus: CorpusOption,
    reranker: Annotated[
        str | None, typer.Option(help="Artifact whose document template turns fields into text.")
    ] = None,
    retriever_variant: RetrieverVariantOption = None,
    threads: ThreadsOption = None,
    skip_bad: SkipOption = False,
) -> None:
    """Embed a corpus and write its vectors to disk.

    `onnxrank index capabilities --retriever artifacts/qwen3-embedding --corpus capabilities.jsonl`
    """
    cascade = open_cascade(retriever, retriever_variant, reranker, None, threads)
    entries = read_entries(corpus, skip_bad)
    cascade.index([entry.document for entry in entries])
    cascade.save(out)
    say(f"wrote {out}: {len(entries):,} documents")


def open_cascade(
    retriever: str, retriever_variant: str | None, reranker: str | None, variant: str | None, threads: int | None
) -> Cascade:
    """Return the cascade that the options describe."""
    return Cascade(
        Embedder(retriever, variant=retriever_variant, threads=threads),
        Reranker(reranker, variant=variant, threads=threads) if reranker else None,
    )


def read_entries(path: Path, skip_bad: bool) -> list[Entry]:
    """Return a corpus, and warn how many lines of the file were skipped."""
    entries, skipped = read_corpus(path, skip_bad=skip_bad)
    if skipped:
        warn(f"{skipped} lines of {path} were skipped.")
    return entries
