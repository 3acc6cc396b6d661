"""A folder for files that are needed until this process ends."""

import tempfile
from functools import cache
from pathlib import Path


def scratch() -> Path:
    """Return the folder."""
    return Path(_folder().name)


@cache
def _folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="onnxrank-")
