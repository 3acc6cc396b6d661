"""Writes a folder next to its final place and moves it there in one rename; a failure leaves nothing behind."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxrank.artifact.manifest import MANIFEST
from onnxrank.errors import OutputError


@contextmanager
def staged(out: Path, *, force: bool) -> Iterator[Path]:
    """Yield an empty folder that becomes `out` when the block ends without an error.

    Raises OutputError if `out` exists without `force` or is not an artifact, or if the disk is full.
    """
    _recover(out)
    if out.exists():
        if not force:
            raise OutputError(f"{out} exists; add --force to replace it, or --out for another place.")
        if not (out / MANIFEST).is_file() and any(out.iterdir()):
            raise OutputError(f"{out} is no artifact, so --force does not replace it; choose another --out.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{_stem(out)}partial-{os.getpid()}-", dir=out.parent))
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); choose another --out.") from error
    try:
        yield folder
        folder.chmod(0o755)
        _move(folder, out)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutputError(f"the disk of {out.parent} is full; free some space and export again.") from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_space(out: Path, needed: int) -> None:
    """Raise OutputError if fewer than `needed` bytes are free on the disk of `out`."""
    free = shutil.disk_usage(out).free
    if needed > free:
        raise OutputError(
            f"the export needs {needed / 1e6:,.0f} MB and {out.parent} has {free / 1e6:,.0f} MB free; "
            "free some space or choose another --out."
        )


def _move(folder: Path, out: Path) -> None:
    if not out.exists():
        folder.rename(out)
        return
    # No portable system call swaps two folders; `_recover` cleans up after a crash between these two renames.
    old = _old(out)
    out.rename(old)
    folder.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def _recover(out: Path) -> None:
    """Clean up after exports that were killed: put an old artifact back, remove half-made folders."""
    old = _old(out)
    if old.exists():
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(out)
    for partial in out.parent.glob(f"{_stem(out)}partial-*"):
        if not _alive(int(partial.name.removeprefix(f"{_stem(out)}partial-").split("-")[0])):
            shutil.rmtree(partial, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stem(out: Path) -> str:
    return f".{out.name}."


def _old(out: Path) -> Path:
    return out.parent / f"{_stem(out)}old"
