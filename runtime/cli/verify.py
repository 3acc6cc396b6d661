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
from onnxrank.progress import progress as progress_bar
from onnxrank.proof.parity import PARITY_COLUMNS, parity_rows
from onnxrank.proof.verification import Verification, check_gates, repeat_oracle, runs_of, verify_variant


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
        with progress_bar(f"verifying {name}", len(golden.scored) * runs_of(files), progress) as done:
            results[name] = verify_variant(opened, files, golden, threads=threads, done=done)
    if as_json:
        show_json({name: write(result) for name, result in results.items()})
    else:
        rows = [row for name, r in results.items() for row in parity_rows(name, r.recorded(chosen[name]))]
        show_table(f"{opened.manifest.name}: difference from PyTorch", PARITY_COLUMNS, rows)
    for name, result in results.items():
        check_gates(name, result)
