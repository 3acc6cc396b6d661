"""Output of both command lines: errors in one sentence, JSON for machines, tables for people."""

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from typer import Exit

from onnxrank.cli.interruption import ending, ending_on_signals
from onnxrank.errors import RerankError

FAILED, MISUSED = 1, 2


def run(app: Callable[[], None]) -> None:
    """Run a command line and end the process: with code 1 and one sentence on standard error if it did not work."""
    with ending_on_signals():
        sys.exit(_status(app))


def _status(app: Callable[[], None]) -> str | int | None:
    """Return the exit status of a command line."""
    status: str | int | None = 0
    try:
        try:
            app()
        except SystemExit as ended:
            status = ended.code
        sys.stdout.flush()
    except RerankError as error:
        if not ending():
            show_error(str(error))
        return FAILED
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough.
        _drop_output()
        return FAILED
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        _drop_output()
        show_error("standard output cannot be written, because the disk is full; free some space, or write elsewhere.")
        return FAILED
    return status


def _drop_output() -> None:
    """Let Python's own flush at the exit succeed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_error(text: str) -> None:
    """Write what went wrong to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print("[bold red]error:[/] ", end="")
    sys.stderr.write(f"{text}\n")


def misused(text: str) -> Exit:
    """Say how a command was misused; return the exception that ends it with code 2."""
    show_error(text)
    return Exit(MISUSED)


def show_json(data: Any) -> None:
    """Write data as JSON to standard output."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; if standard output is not a terminal, it is 140 columns wide, so that few cells wrap."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 140
    Console(width=width).print(table)


def say(text: str) -> None:
    """Print a line of prose."""
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def warn(text: str) -> None:
    """Print a line of prose to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def shorten(text: str) -> str:
    """Return a text as one line of at most 110 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 110 else f"{line[:109]}…"
