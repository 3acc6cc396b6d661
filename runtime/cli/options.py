"""Options and arguments that several commands share."""

from typing import Annotated

import typer

import onnxrank
from onnxrank.artifact.variants import PRECISIONS
from onnxrank.cli.console import say


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"onnxrank {onnxrank.__version__}")
        raise typer.Exit


ArtifactArgument = Annotated[str, typer.Argument(help="Folder that export-model wrote, or a hub id.")]
VariantOption = Annotated[str | None, typer.Option(help=f"{', '.join(PRECISIONS)}; the artifact's best by default.")]
VariantsOption = Annotated[list[str] | None, typer.Option("--variant", help="Only this variant; may be repeated.")]
RetrieverVariantOption = Annotated[str | None, typer.Option(help="The retriever's variant; its best by default.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU cores to use; all by default.")]
LayersOption = Annotated[int | None, typer.Option(help="Matryoshka model: stop after this many layers.")]
DimOption = Annotated[int | None, typer.Option(help="Matryoshka model: use this many dimensions.")]
RevisionOption = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")]
VersionOption = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
SkipOption = Annotated[bool, typer.Option("--skip-bad", help="Skip lines that cannot be read.")]
ProgressOption = Annotated[
    bool | None,
    typer.Option(
        "--progress/--no-progress",
        help="Show how much is done; by default in terminals, for work of more than two seconds. If standard error is "
        "no terminal, a line every few seconds.",
        show_default=False,
    ),
]
RetrieverOption = Annotated[str, typer.Option(help="Artifact of an embedding model: folder or hub id.")]
IndexedRetrieverOption = Annotated[
    str | None, typer.Option(help="The retriever's new place, if it has moved; the index remembers it.")
]
RerankerOption = Annotated[str | None, typer.Option(help="Artifact of a reranker: folder or hub id; none by default.")]
RetrieveOption = Annotated[int, typer.Option(min=1, help="Documents to retrieve before reranking.")]
