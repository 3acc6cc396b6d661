"""Writes a folder next to its final place and moves it there at the end; a failure leaves what was there before."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from onnxrank.errors import OutputError
from onnxrank.leftovers import cleaned_up

# No space, no more of a user's quota, no larger file.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of the folder `out` when the block ends without an error; call
    `recover` first.

    Raises OutputError if the place cannot be written to or the disk is full.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{_stem(out)}partial-{os.getpid()}-", dir=out.parent))
    except OSError as error:
        raise OutputError(f"{out} cannot be written ({error.strerror}); choose another folder.") from error
    with cleaned_up(partial(_abandon, folder, out)):
        try:
            yield folder
            folder.chmod(0o755)
            _move(folder, out)
        except OSError as error:
            if error.errno in FULL:
                raise OutputError(f"the disk of {out.parent} is full; free some space and try again.") from error
            raise


def _abandon(folder: Path, out: Path) -> None:
    """Remove what is left of a staged folder, and put the old folder back if the move was interrupted."""
    shutil.rmtree(folder, ignore_errors=True)
    recover(out)


def recover(out: Path) -> None:
    """Clean up after processes that were killed: put an old folder back, remove half-made ones."""
    old = _old(out)
    if old.exists():
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(out)
    for half_made in out.parent.glob(f"{_stem(out)}partial-*"):
        made_by = re.match(r"(\d+)-", half_made.name.removeprefix(f"{_stem(out)}partial-"))
        if made_by and not _alive(int(made_by[1])):
            shutil.rmtree(half_made, ignore_errors=True)


def _move(folder: Path, out: Path) -> None:
    if not out.exists():
        folder.rename(out)
        return
    # No system call swaps two folders everywhere; `recover` mends a crash between these two renames.
    old = _old(out)
    out.rename(old)
    try:
        folder.rename(out)
    except OSError:
        old.rename(out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _stem(out: Path) -> str:
    return f".{out.name}."


def _old(out: Path) -> Path:
    return out.parent / f"{_stem(out)}old"
