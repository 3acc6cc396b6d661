"""Exports a checkpoint of full size with random weights: time, peak memory, sizes and parity.

`python -m benchmarks.export_full_size q4 int8`, as `make bench` runs it.
"""

import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.full_size import write_checkpoint
from onnxrank.artifact.schema import write
from onnxrank.cli.console import show_json
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import Options
from onnxrank.progress import progress


def main(
    variants: Annotated[list[str], typer.Argument(help="Variants to export.")],
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint folder.")] = Path("build/qwen3-full-size"),
    out: Annotated[Path, typer.Option(help="Artifact folder; removed afterwards.")] = Path("build/full-size-artifact"),
    keep: Annotated[bool, typer.Option(help="Do not remove the artifact.")] = False,
) -> None:
    """Export and print the measurements as JSON; the proof runs as in `export-model`."""
    write_checkpoint(checkpoint)
    start = time.monotonic()
    manifest = export(
        locate(str(checkpoint)), out, family="qwen3-reranker", options=Options(variants=variants, accept_loss=True),
        force=True, progress=progress,
    )  # fmt: skip
    seconds = time.monotonic() - start
    texts = sum(f.bytes for name, f in manifest.files.items() if not name.startswith("onnx/"))
    # ru_maxrss is in kilobytes on Linux; RUSAGE_SELF does not include the oracle, which is a child process.
    peak, oracle = (resource.getrusage(who).ru_maxrss / 1e3 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    show_json(
        {
            "seconds": round(seconds, 1),
            "peak_megabytes": round(peak),
            "peak_megabytes_of_the_oracle": round(oracle),
            "torch_in_this_process": "torch" in sys.modules,
            "variants": {
                name: {
                    "folder_megabytes": round((texts + sum(manifest.files[f].bytes for f in v.files)) / 1e6, 1),
                    "parity": {way: write(parity) for way, parity in v.parity.items()},
                    "batch_effect": v.batch_effect,
                    "graph_difference": v.graph_difference,
                }
                for name, v in manifest.variants.items()
            },
        }
    )
    if not keep:
        shutil.rmtree(out)


if __name__ == "__main__":
    typer.run(main)
