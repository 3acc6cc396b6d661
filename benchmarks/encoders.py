"""Exports full-size encoders with random weights: time, peak memory, sizes, parity, and the speed of early exits.

`python -m benchmarks.encoders mmbert int8 q4`
"""

import resource
import shutil
import sys
import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.full_size_encoders import checkpoint
from benchmarks.long_text import FILLER, QUERY
from benchmarks.timing import medians
from onnxrank.artifact.manifest import Manifest
from onnxrank.artifact.schema import write
from onnxrank.cli.console import show_json
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import Options
from onnxrank.progress import progress
from onnxrank.reranker import Reranker

TIMED = ("int8", "fp32")
TOKENS = (128, 512)


class Model(StrEnum):
    """The names in full_size_encoders.MODELS."""

    MMBERT = "mmbert"
    XLM_ROBERTA = "xlm-roberta"
    COLBERT = "colbert"


def main(
    model: Annotated[Model, typer.Argument(help="Which model.")],
    variants: Annotated[list[str] | None, typer.Argument(help="Variants to export; fp32, int8 and q4 if none.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Artifact folder; build/MODEL-artifact by default; removed afterwards.")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Do not remove the artifact.")] = False,
    pairs: Annotated[int, typer.Option(help="Pairs in a timed request.")] = 4,
    repeats: Annotated[int, typer.Option(help="Timings of each exit; the median counts.")] = 5,
    exits: Annotated[bool, typer.Option(help="Time the exits.")] = True,
) -> None:
    """Export and print the measurements as JSON; the proof runs as in `export-model`."""
    full_size = checkpoint(model.value)
    out = out or Path(f"build/{model.value}-artifact")
    # Random weights score all texts nearly alike, so few levels cannot keep their order; parity is printed.
    options = Options(variants=variants or ("fp32", "int8", "q4"), accept_loss=True)
    start = time.monotonic()
    manifest = export(
        locate(str(full_size.folder)), out, family=full_size.family, options=options, force=True, progress=progress
    )
    measured = {"model": model.value, "seconds": round(time.monotonic() - start, 1), **_memory()}
    measured["variants"] = _variants(manifest)
    if exits and manifest.scoring.matryoshka:
        measured["exits"] = {
            variant: {f"{tokens} tokens": exit_speeds(out, variant, tokens, pairs, repeats) for tokens in TOKENS}
            for variant in TIMED
            if variant in manifest.variants
        }
    show_json(measured)
    if not keep:
        shutil.rmtree(out)


def _memory() -> dict[str, Any]:
    # ru_maxrss is in kilobytes on Linux; RUSAGE_SELF does not include the oracle, which is a child process.
    peak, oracle = (resource.getrusage(who).ru_maxrss / 1e3 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "peak_megabytes": round(peak),
        "peak_megabytes_of_the_oracle": round(oracle),
        "torch_in_this_process": "torch" in sys.modules,
    }


def _variants(manifest: Manifest) -> dict[str, Any]:
    texts = sum(f.bytes for name, f in manifest.files.items() if not name.startswith("onnx/"))
    return {
        name: {
            "folder_megabytes": round((texts + sum(manifest.files[f].bytes for f in variant.files)) / 1e6, 1),
            "parity": {way: write(parity) for way, parity in variant.parity.items()},
            "batch_effect": variant.batch_effect,
            "graph_difference": variant.graph_difference,
        }
        for name, variant in manifest.variants.items()
    }


def exit_speeds(artifact: Path, variant: str, tokens: int, pairs: int, repeats: int) -> dict[str, Any]:
    """Return the seconds of a request by exit, and how many times faster than the whole model each is."""
    deepest, *others = exits = sorted(_exits(artifact), reverse=True)
    texts = [(QUERY, f"{i} {FILLER * (tokens // 8)}") for i in range(pairs)]
    rerankers = [Reranker(artifact, variant=variant, layers=layers, max_length=tokens) for layers in exits]
    assert set(rerankers[0].score(texts).tokens.tolist()) == {tokens}
    seconds = dict(zip(exits, medians([partial(r.score, texts) for r in rerankers], repeats), strict=True))
    return {
        "pairs": pairs,
        "seconds": {str(layers): round(spent, 3) for layers, spent in seconds.items()},
        "times_faster": {str(layers): round(seconds[deepest] / seconds[layers], 2) for layers in others},
    }


def _exits(artifact: Path) -> tuple[int, ...]:
    matryoshka = Reranker(artifact).manifest.scoring.matryoshka
    assert matryoshka
    return matryoshka.layers


if __name__ == "__main__":
    typer.run(main)
