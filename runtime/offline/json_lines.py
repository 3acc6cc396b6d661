"""JSON Lines: an object a line; fields keep their values, and a line that is no object stays as `line`."""

import codecs
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from onnxrank.errors import InputError
from onnxrank.offline.rows import CellOutcome, Columns, Unreadable, values_of
from onnxrank.quality.text_file import json_value

# What stands for a line that cannot be read.
LINE = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRow:
    """An object, and why its line could not be read, if so."""

    fields: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonChunk:
    rows: Sequence[JsonRow]
    document: str
    columns: Columns

    @property
    def queries(self) -> list[object]:
        name = self.columns.query
        return [Unreadable(reason=row.problem) if row.problem else row.fields.get(name) for row in self.rows]

    @property
    def documents(self) -> list[object]:
        return [row.fields.get(self.document) for row in self.rows]

    def write(self, outcomes: list[CellOutcome], path: Path) -> None:
        # A lone surrogate, which JSON can write and UTF-8 cannot, becomes JSON's escape again.
        with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for row, found in zip(self.rows, outcomes, strict=True):
                new = dict(zip(self.columns.added, values_of(found), strict=True))
                file.write(json.dumps({**row.fields, **new}, ensure_ascii=False) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonRows:
    """A file of JSON Lines."""

    path: Path
    columns: Columns

    def count(self) -> int:
        return sum(1 for _ in self._lines())

    def chunks(self, rows: int) -> Iterator[JsonChunk]:
        lines = self._lines()
        chunk = [_row(number, line) for number, line in islice(lines, rows)]
        names = list(dict.fromkeys(name for row in chunk for name in row.fields))
        document = self.columns.documents_of(names, self.path) if chunk else ""
        yield JsonChunk(rows=chunk, document=document, columns=self.columns)
        while chunk := [_row(number, line) for number, line in islice(lines, rows)]:
            yield JsonChunk(rows=chunk, document=document, columns=self.columns)

    def join(self, parts: Sequence[Path], path: Path) -> None:
        with path.open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines that are not blank, with their numbers."""
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line := (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip():
                        yield number, line
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error.strerror}); give a file of JSON Lines.") from error


def _row(number: int, line: bytes) -> JsonRow:
    try:
        value = json_value(line)
    except ValueError as error:
        return JsonRow(fields={LINE: line.decode(errors="replace")}, problem=f"line {number} {error}")
    if not isinstance(value, dict):
        return JsonRow(fields={LINE: line.decode()}, problem=f"line {number} is {type(value).__name__}, not an object")
    return JsonRow(fields=value)
