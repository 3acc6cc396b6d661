"""Reads a text file or standard input: its lines, and the JSON in it. ValueErrors say what is wrong, but not where."""

import codecs
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onnxrank.artifact.schema import parse
from onnxrank.errors import InputError, one_line

# The path that stands for standard input.
STDIN = Path("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """A file's content without its byte order mark, and what messages call it."""

    name: str
    content: bytes = field(repr=False)


def opened(source: Path | TextFile) -> TextFile:
    """Return a file with its content. Raises InputError if it cannot be read."""
    if isinstance(source, TextFile):
        return source
    try:
        content = sys.stdin.buffer.read() if source == STDIN else source.read_bytes()
    except OSError as error:
        raise InputError(f"{source} cannot be read ({error.strerror}); give a UTF-8 text file.") from error
    name = "standard input" if source == STDIN else str(source)
    return TextFile(name=name, content=content.removeprefix(codecs.BOM_UTF8))


def numbered_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers."""
    # Not splitlines: JSON strings may contain other line separators.
    return ((number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip())


def decoded(line: bytes) -> str:
    """Return a line as text."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"is not in UTF-8 (byte 0x{line[error.start]:02x} at position {error.start})") from error


def json_value(line: bytes) -> Any:
    """Return the JSON value in a line."""
    text = decoded(line)
    try:
        return parse(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON ({one_line(error)})") from error


def json_array(content: bytes) -> list[Any] | None:
    """Return the items of a file that is one JSON array; None if it is not one."""
    if not content.lstrip().startswith(b"["):
        return None
    try:
        value = json_value(content)
    except ValueError:
        return None
    return value if isinstance(value, list) else None


def looks_like_json(content: bytes) -> bool:
    """Whether documents without a file's name are JSON: an array, or lines of which the first is an object."""
    if json_array(content) is not None:
        return True
    try:
        return isinstance(json_value(next(numbered_lines(content), (1, b""))[1]), dict)
    except ValueError:
        return False
