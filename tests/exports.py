"""Exports tiny checkpoints, in float32 by default."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from onnxrank.artifact.manifest import Manifest
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import FamilyOptions, Options
from onnxrank.export.proof import calibration, golden_pairs
from onnxrank.export.proof.oracle import score_request
from onnxrank.progress import Done, progress

# The golden pairs of so many queries make an export quick, and are of all lengths and several scripts.
FEW = 5


@contextmanager
def few_golden_pairs(folder: Path, queries: int = FEW) -> Iterator[None]:
    """Prove exports on the first queries of the golden pairs alone, of which `folder` gets a file, and calibrate on as
    few."""
    few = folder / golden_pairs.FILE.name
    with golden_pairs.FILE.open(encoding="utf-8") as lines:
        few.write_text("".join(islice(lines, queries)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(golden_pairs, "FILE", few)
        patch.setattr(calibration, "PAIRS", FEW)
        yield


def write_checkpoint(folder: Path, write: Callable[[Path], object]) -> Path:
    """Return `folder` after `write` has filled it."""
    folder.mkdir(parents=True)
    write(folder)
    return folder


def score_here(request: Mapping[str, Any], done: Done) -> Any:
    """Replaces `ask` of onnxrank.export.proof.oracle, whose separate process takes seconds to import PyTorch."""
    return json.loads(json.dumps(score_request(request, done)))


def export_tiny(
    checkpoint: Path,
    out: Path,
    *,
    family: str | None = None,
    variants: Sequence[str] = ("fp32",),
    accept_loss: bool = True,
    **options: str | int,
) -> Manifest:
    """Export a checkpoint folder; `options` are the family's.

    Rounding reorders random scores, which lie close together: the loss is accepted by default.
    """
    chosen = Options(variants=variants, accept_loss=accept_loss, family=FamilyOptions(**options))  # type: ignore[arg-type]  # by name
    return export(locate(str(checkpoint)), out, family=family, options=chosen, force=False, progress=progress)
