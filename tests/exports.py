"""Exports tiny checkpoints, in float32 by default."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxrank.artifact.manifest import Manifest
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import FamilyOptions, Options
from onnxrank.export.proof.oracle import score_request
from onnxrank.progress import Done, progress


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
    **options: str | int,
) -> Manifest:
    """Export a checkpoint folder; `options` are the family's."""
    chosen = Options(variants=variants, family=FamilyOptions(**options))  # type: ignore[arg-type]  # by name
    return export(locate(str(checkpoint)), out, family=family, options=chosen, force=False, progress=progress)
