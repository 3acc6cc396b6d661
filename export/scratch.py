"""A folder for files that are needed until this process ends."""

import tempfile
from functools import cache
from pathlib import Path

from onnxrank.leftovers import clean_up_at_the_end


def scratch() -> Path:
    """Return the folder."""
    return Path(_folder().name)


@cache
def _folder() -> "tempfile.TemporaryDirectory[str]":
    made = tempfile.TemporaryDirectory(prefix="onnxrank-", ignore_cleanup_errors=True)
    clean_up_at_the_end(made.cleanup)
    return made
