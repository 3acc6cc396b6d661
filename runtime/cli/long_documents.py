"""`onnxrank long-documents`: whether a model finds an answer at the end of a long document."""

from collections.abc import Sequence
from typing import Annotated

import typer

from onnxrank.artifact.opening import open_artifact
from onnxrank.artifact.schema import write
from onnxrank.cli.console import show_json, show_table
from onnxrank.cli.options import JsonOption, ProgressOption, ThreadsOption, VariantOption
from onnxrank.progress import progress as progress_bar
from onnxrank.quality.long_documents import (
    CASES,
    POSITIONS,
    LongDocuments,
    long_document_rows,
    run_long_documents,
)
from onnxrank.reranker import Reranker


def long_documents(
    artifacts: Annotated[list[str], typer.Argument(help="Folders that export-model wrote, or hub ids.")],
    max_length: Annotated[
        list[int] | None, typer.Option(help="Cut prompts to this many tokens; repeat it to compare several.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Approximate length of a document, in tokens.")] = 1500,
    variant: VariantOption = None,
    threads: ThreadsOption = None,
    progress: ProgressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test whether a model finds the answer at the start and at the end of long documents.

    `onnxrank long-documents artifacts/mmbert-rerank --max-length 512 --max-length 8192`
    """
    results: dict[str, list[LongDocuments]] = {}
    for artifact in artifacts:
        limits: Sequence[int | None] = max_length or [None]
        opened = open_artifact(artifact)
        rerankers = [Reranker(opened, variant=variant, threads=threads, max_length=limit) for limit in limits]
        with progress_bar(f"scoring {artifact}", len(rerankers) * len(CASES) * len(POSITIONS), progress) as done:
            results[artifact] = [run_long_documents(reranker, tokens=tokens, done=done) for reranker in rerankers]
    if as_json:
        show_json({artifact: [write(result) for result in found] for artifact, found in results.items()})
        return
    rows = [row for artifact, found in results.items() for row in long_document_rows(artifact, found)]
    columns = ["artifact", "max_length", *(f"answer at {position}" for position in POSITIONS), "documents cut"]
    show_table(f"{len(CASES)} cases, documents of about {tokens} tokens", columns, rows)
