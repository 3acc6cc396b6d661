"""`onnxrank verify`: checks all hashes and compares every graph's scores with PyTorch's."""

from typing import Annotated

import typer

from onnxrank.artifact.golden import read_golden
from onnxrank.artifact.opening import open_artifact
from onnxrank.artifact.schema import write
from onnxrank.cli.console import show_json, show_table
from onnxrank.cli.options import (
    ArtifactArgument,
    JsonOption,
    ProgressOption,
    RevisionOption,
    ThreadsOption,
    VariantsOption,
)
from onnxrank.errors import LossError
from onnxrank.progress import progress as progress_bar
from onnxrank.proof.parity import PARITY_COLUMNS, parity_rows
from onnxrank.proof.verification import Verification, check_gates, excess_loss, repeat_oracle, steps, verify_variant


def verify(
    artifact: ArtifactArgument,
    variant: VariantsOption = None,
    against: Annotated[
        str | None, typer.Option(help="Score the golden pairs again with PyTorch from this checkpoint.")
    ] = None,
    threads: ThreadsOption = None,
    revision: RevisionOption = None,
    progress: ProgressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every file's hash and compare every graph's scores with PyTorch's.

    `onnxrank verify artifacts/qwen3-reranker --against Qwen/Qwen3-Reranker-0.6B`
    """
    opened = open_artifact(artifact, revision=revision)
    chosen = dict(opened.variant(name) for name in variant) if variant else opened.manifest.variants
    opened.fetch(*opened.manifest.files)
    golden = read_golden(opened.folder)
    if against:
        golden = repeat_oracle(opened.manifest, golden, against)
    results: dict[str, Verification] = {}
    for name, files in chosen.items():
        with progress_bar(f"verifying {name}", steps(files, golden), progress) as done:
            results[name] = verify_variant(opened, files, golden, threads=threads, done=done)
    if as_json:
        show_json({name: write(result) for name, result in results.items()})
    else:
        found = {name: result.recorded(chosen[name], accepted_loss=False) for name, result in results.items()}
        rows = [row for name, variant in found.items() for row in parity_rows(name, variant)]
        show_table(f"{opened.manifest.name}: difference from PyTorch", PARITY_COLUMNS, rows)
    for name, result in results.items():
        check_gates(name, result)
        loss = excess_loss(name, result)
        if loss and not chosen[name].accepted_loss:
            raise LossError(f"{loss}; export it again with a more precise variant or with --accept-loss.")
