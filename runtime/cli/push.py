"""`onnxrank push` and `onnxrank pull`: an artifact's way to a model hub and back."""

from pathlib import Path
from typing import Annotated

import typer

from onnxrank.artifact import publishing
from onnxrank.cli.console import say
from onnxrank.cli.options import RevisionOption


def push(
    artifact: Annotated[Path, typer.Argument(help="Folder that export-model wrote.")],
    repository: Annotated[str, typer.Argument(help="Hub id: owner/name.")],
    public: Annotated[bool, typer.Option(help="Make a new repository public; it is private by default.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch to write to; main by default.")] = None,
) -> None:
    """Upload an artifact to the hub, if all its files are those that were exported.

    `onnxrank push artifacts/qwen3-reranker owner/qwen3-reranker-onnx`
    """
    say(f"uploaded {publishing.push(artifact, repository, public=public, revision=revision)}")


def pull(
    repository: Annotated[str, typer.Argument(help="Hub id: owner/name.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write; artifacts/NAME by default.")] = None,
    revision: RevisionOption = None,
    force: Annotated[bool, typer.Option(help="Replace an artifact that is there.")] = False,
) -> None:
    """Copy an artifact with all its variants from the hub to a folder, and check its hashes.

    `onnxrank pull owner/qwen3-reranker-onnx --out artifacts/qwen3-reranker`
    """
    folder = out or Path("artifacts") / repository.rpartition("/")[2]
    artifact = publishing.pull(repository, folder, revision=revision, force=force)
    say(f"wrote {artifact.folder}: {', '.join(artifact.manifest.variants)}")
