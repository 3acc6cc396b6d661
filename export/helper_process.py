"""Modules of ours that run in a process of their own, so that PyTorch's memory never stays with the exporter."""

import sys
from typing import Any

from onnxrank.export.scratch import scratch


def command(module: str, *arguments: object) -> list[str]:
    """Return the command that runs a module with arguments, of which paths have to be absolute."""
    # -P: a torch.py in the current folder must not be imported.
    return [sys.executable, "-P", "-W", "ignore", "-m", module, *map(str, arguments)]


def settings() -> dict[str, Any]:
    """Return the settings of `subprocess` for it: text, in a folder that holds nothing to import."""
    return {"cwd": scratch(), "text": True, "encoding": "utf-8", "errors": "replace"}


def last_line(stderr: str, status: int) -> str:
    """Return what a process that failed said last on standard error, or its exit status."""
    lines = stderr.strip().splitlines()
    return lines[-1] if lines else f"exit status {status}"
