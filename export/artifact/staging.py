"""Where an artifact may be written, and whether it fits there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxrank.artifact.manifest import MANIFEST
from onnxrank.artifact.staging import recover, staged
from onnxrank.errors import OutputError


@contextmanager
def staged_artifact(out: Path, *, force: bool) -> Iterator[Path]:
    """Yield an empty folder that becomes `out` when the block ends without an error.

    Raises OutputError if `out` exists without `force` or is not an artifact, or if the disk is full.
    """
    recover(out)
    if out.exists():
        if not force:
            raise OutputError(f"{out} exists; add --force to replace it, or --out for another place.")
        if not out.is_dir() or (not (out / MANIFEST).is_file() and any(out.iterdir())):
            raise OutputError(f"{out} is no artifact, so --force does not replace it; choose another --out.")
    with staged(out) as folder:
        yield folder


def check_space(out: Path, needed: int) -> None:
    """Raise OutputError if fewer than `needed` bytes are free on the disk of `out`."""
    free = shutil.disk_usage(out).free
    if needed > free:
        raise OutputError(
            f"the export needs {needed / 1e6:,.0f} MB and {out.parent} has {free / 1e6:,.0f} MB free; "
            "free some space or choose another --out."
        )
