"""`onnxrank rank`: ranks documents by relevance to a query."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from onnxrank.artifact.opening import Artifact, open_artifact
from onnxrank.cli.console import misused, shorten, show_json, show_table
from onnxrank.cli.documents import (
    NO_DOCUMENTS,
    TemplateOption,
    TextFieldOption,
    layout_of,
    piped,
    read_documents,
)
from onnxrank.cli.options import (
    ArtifactArgument,
    DimOption,
    JsonOption,
    LayersOption,
    ProgressOption,
    RevisionOption,
    SkipOption,
    ThreadsOption,
    VariantOption,
)
from onnxrank.errors import InputError
from onnxrank.late_interaction import LateInteraction
from onnxrank.quality.corpus import Entry
from onnxrank.reranker import Reranker


def rank(
    artifact: ArtifactArgument,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Documents; or use --documents.")] = None,
    documents: Annotated[
        Path | None,
        typer.Option(
            help="File with one document per line; or, if it ends in .jsonl or .json, JSON Lines or a JSON array of "
            "texts or objects with `text`, or fields such as `title` and `body`. - for stdin, which is also read if it "
            "is piped and there are no documents."
        ),
    ] = None,
    text_field: TextFieldOption = None,
    document_template: TemplateOption = None,
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
    progress: ProgressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank documents by relevance to a query.

    `onnxrank rank artifacts/demo "sort an array" "sort(a): ..." "mean(a): ..."`

    `onnxrank rank artifacts/demo "sort an array" --documents docs.txt --top-k 3`

    `onnxrank rank artifacts/demo "sort an array" --documents docs.jsonl --document-template "{title}: {body}" --json`

    `git log --format=%s | onnxrank rank artifacts/demo "fix a memory leak"`
    """
    if not (texts or documents or piped()):
        raise misused(NO_DOCUMENTS)
    opened = open_artifact(artifact, revision=revision)
    prompt = opened.manifest.scoring.prompt
    layout = layout_of(text_field, document_template, prompt.document_template if prompt else None)
    candidates = read_documents(texts or [], documents, layout, skip_bad)
    plain = [str(one.document) if isinstance(one, Entry) else one for one in candidates]
    model: Reranker | LateInteraction
    if opened.manifest.scoring.late_interaction:
        _refuse(opened, layers=layers, dim=dim, instruction=instruction, max_length=max_length, raw=raw or None)
        model = LateInteraction(opened, variant=variant, threads=threads)
        hits = model.rank(query, plain, top_k=top_k, return_documents=True, show_progress_bar=progress)
    else:
        model = Reranker(opened, variant=variant, layers=layers, dim=dim, threads=threads, max_length=max_length)
        hits = model.rank(
            query,
            plain,
            top_k=top_k,
            return_documents=True,
            instruction=instruction,
            activation="identity" if raw else None,
            show_progress_bar=progress,
        )
    if as_json:
        show_json([_with_id(hit, candidates) for hit in hits])
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


def _with_id(hit: dict[str, Any], candidates: Sequence[Entry | str]) -> dict[str, Any]:
    """Return a hit with its document's id, if the document comes from a JSON file."""
    found = candidates[hit["corpus_id"]]
    return {"id": found.id, **hit} if isinstance(found, Entry) else hit
