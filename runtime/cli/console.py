"""Output of both command lines: errors in one sentence, JSON for machines, tables for people."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from typer import Exit

from onnxrank.errors import RerankError

FAILED, MISUSED = 1, 2


def run(app: Callable[[], None]) -> None:
    """Run a command line; print a RerankError to standard error and exit with code 1."""
    try:
        app()
    except RerankError as error:
        show_error(str(error))
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


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
