"""Assembles the `onnxrank` command from the commands in this folder."""

import typer

from onnxrank.cli import (
    demo,
    evaluate,
    fidelity,
    index,
    info,
    long_documents,
    push,
    rank,
    score,
    search,
    serve,
    triton,
    verify,
)
from onnxrank.cli.console import run
from onnxrank.cli.options import VersionOption

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.callback()
def _onnxrank(version: VersionOption = False) -> None:
    """Rank, search and verify with the artifacts that `export-model` writes."""


for command in (
    rank.rank,
    score.score,
    verify.verify,
    fidelity.fidelity,
    info.info,
    long_documents.long_documents,
    index.index,
    search.search,
    evaluate.evaluate,
    demo.demo,
    push.push,
    push.pull,
    triton.triton,
):
    app.command()(command)
app.command(context_settings=serve.CONTEXT)(serve.serve)


def main() -> None:
    """Entry point of the console script."""
    run(app)
