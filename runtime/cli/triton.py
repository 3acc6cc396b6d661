"""`onnxrank triton`: writes a model repository for Triton Inference Server."""

from pathlib import Path
from typing import Annotated

import typer

from onnxrank.artifact.opening import open_artifact
from onnxrank.cli.console import say
from onnxrank.cli.options import ArtifactArgument, RevisionOption, ThreadsOption, VariantOption
from onnxrank.triton_repository import write_repository


def triton(
    artifact: ArtifactArgument,
    out: Annotated[Path, typer.Option(help="Model repository; other models in it stay.")],
    variant: VariantOption = None,
    threads: ThreadsOption = None,
    revision: RevisionOption = None,
    force: Annotated[bool, typer.Option(help="Replace the models if they exist.")] = False,
) -> None:
    """Write two models for Triton: NAME scores texts, NAME_graph is the padded graph alone.

    `onnxrank triton artifacts/demo --out model_repository`
    """
    opened = open_artifact(artifact, revision=revision)
    for folder in write_repository(opened, out, variant=variant, threads=threads, force=force):
        say(f"wrote {folder}")
