"""`onnxrank rank`: ranks documents by relevance to a query."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from onnxrank.artifact.opening import Artifact, open_artifact
from onnxrank.cli.console import shorten, show_json, show_table, warn
from onnxrank.cli.options import (
    ArtifactArgument,
    DimOption,
    JsonOption,
    LayersOption,
    RevisionOption,
    SkipOption,
    ThreadsOption,
    VariantOption,
)
from onnxrank.errors import InputError
from onnxrank.late_interaction import LateInteraction
from onnxrank.quality.corpus import read_corpus
from onnxrank.reranker import Reranker
from onnxrank.text.documents import Document, texts_of


def rank(
    artifact: ArtifactArgument,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Documents; or use --documents.")] = None,
    documents: Annotated[
        Path | None,
        typer.Option(
            help="File with one document per line, or JSON Lines with `text` or fields such as `name`; - for stdin."
        ),
    ] = None,
    variant: VariantOption = None,
    layers: LayersOption = None,
    dim: DimOption = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Show only this many of the best.")] = None,
    instruction: Annotated[str | None, typer.Option(help="What counts as relevant, in a sentence.")] = None,
    raw: Annotated[bool, typer.Option(help="Show raw logits instead of the model's scores.")] = False,
    skip_bad: SkipOption = False,
    max_length: Annotated[int | None, typer.Option(help="Cut prompts to this many tokens.")] = None,
    threads: ThreadsOption = None,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank documents by relevance to a query.

    `onnxrank rank artifacts/demo "sort an array" "sort(a): ..." "mean(a): ..."`

    `onnxrank rank artifacts/demo "sort an array" --documents docs.txt --top-k 3`
    """
    candidates: list[Document] = [*(texts or []), *(_read_documents(documents, skip_bad) if documents else [])]
    opened = open_artifact(artifact, revision=revision)
    model: Reranker | LateInteraction
    if opened.manifest.scoring.late_interaction:
        _refuse(opened, layers=layers, dim=dim, instruction=instruction, max_length=max_length, raw=raw or None)
        model = LateInteraction(opened, variant=variant, threads=threads)
        hits = model.rank(query, texts_of(candidates, None, "documents"), top_k=top_k, return_documents=True)
    else:
        model = Reranker(opened, variant=variant, layers=layers, dim=dim, threads=threads, max_length=max_length)
        hits = model.rank(
            query,
            candidates,
            top_k=top_k,
            return_documents=True,
            instruction=instruction,
            activation="identity" if raw else None,
        )
    if as_json:
        show_json(hits)
        return
    rows = [
        [
            str(i + 1),
            f"{hit['score']:.4f}",
            escape(shorten(hit["text"])) + (" [dim](cut)[/]" if hit["truncated"] else ""),
        ]
        for i, hit in enumerate(hits)
    ]
    show_table(f"{query!r} ({model.manifest.name}, {model.variant})", ["", "score", "document"], rows)


def _refuse(artifact: Artifact, **options: Any) -> None:
    """Raise InputError for an option that late interaction does not take."""
    if given := [name for name, value in options.items() if value is not None]:
        option = given[0].replace("_", "-")
        raise InputError(f"{artifact.folder} is a late-interaction model, which takes no --{option}; leave it out.")


def _read_documents(path: Path, skip_bad: bool) -> list[Document]:
    if path.suffix == ".jsonl":
        entries, skipped = read_corpus(path, skip_bad=skip_bad)
        if skipped:
            warn(f"{skipped} lines of {path} were skipped.")
        return [entry.document for entry in entries]
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a UTF-8 text file.") from error
    return [line for line in text.splitlines() if line.strip()]
