"""`onnxrank score`: scores a file of queries and documents, however large; goes on after a crash."""

from pathlib import Path
from typing import Annotated

import typer

from onnxrank.artifact.manifest import Activation
from onnxrank.artifact.schema import write
from onnxrank.cli.console import say, show_json, warn
from onnxrank.cli.options import (
    ArtifactArgument,
    DimOption,
    JsonOption,
    LayersOption,
    ProgressOption,
    RevisionOption,
    ThreadsOption,
    VariantOption,
)
from onnxrank.offline.model import ModelOptions, PairModel
from onnxrank.offline.rows import Columns
from onnxrank.offline.score_file import FORMATS, score_file


def score(
    artifact: ArtifactArgument,
    pairs: Annotated[Path, typer.Argument(help=f"File with a query and a document in each row: {', '.join(FORMATS)}.")],
    out: Annotated[Path, typer.Option(help="File to write, of the same format.")],
    query: Annotated[str, typer.Option(help="The column of queries.")] = "query",
    document: Annotated[
        str | None,
        typer.Option(
            help="The column of documents, each a text, fields for the artifact's template, or a list of these; by "
            "default `document`, else `documents`."
        ),
    ] = None,
    prefix: Annotated[str, typer.Option(help="What the names of the new columns start with.")] = "",
    variant: VariantOption = None,
    layers: LayersOption = None,
    dim: DimOption = None,
    instruction: Annotated[str | None, typer.Option(help="What counts as relevant, in a sentence.")] = None,
    raw: Annotated[bool, typer.Option(help="Write raw logits instead of the model's scores.")] = False,
    max_length: Annotated[int | None, typer.Option(help="Cut prompts to this many tokens.")] = None,
    threads: ThreadsOption = None,
    revision: RevisionOption = None,
    force: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
    progress: ProgressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a file of queries and documents. The output has its rows, and the columns `score`, `truncated` and `error`.

    A row that cannot be scored says why in `error`. After a crash or Ctrl+C, the same command goes on.

    `onnxrank score artifacts/demo pairs.parquet --out scores.parquet`

    `onnxrank score artifacts/demo pairs.csv --out scores.csv --query question --document answer --progress`
    """
    activation: Activation | None = "identity" if raw else None
    options = ModelOptions(
        variant=variant,
        layers=layers,
        dim=dim,
        max_length=max_length,
        revision=revision,
        instruction=instruction,
        activation=activation,
    )
    model = PairModel(artifact, options, threads=threads)
    columns = Columns(query=query, document=document, prefix=prefix)
    found = score_file(pairs, out, model, columns, force=force, show_progress=progress)
    if as_json:
        show_json(write(found))
    else:
        resumed = f", {found.resumed:,} of them before" if found.resumed else ""
        say(f"wrote {out}: {found.rows:,} rows{resumed}")
    if found.failed:
        warn(f"{found.failed:,} rows have no score; the column {columns.added[-1]} says why.")
