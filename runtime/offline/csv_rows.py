"""CSV files with a header: cells keep their characters, whatever is in them."""

import csv
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Literal

from onnxrank.errors import InputError, one_line
from onnxrank.offline.rows import CellOutcome, Columns, Unreadable, values_of


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvChunk:
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    document: str
    columns: Columns

    @property
    def queries(self) -> list[object]:
        place, cells = self.header.index(self.columns.query), len(self.header)
        return [
            row[place]
            if len(row) == cells
            else Unreadable(reason=f"the row has {len(row)} cells, and the header {cells}")
            for row in self.rows
        ]

    @property
    def documents(self) -> list[object]:
        place = self.header.index(self.document)
        return [row[place] if place < len(row) else None for row in self.rows]

    def write(self, outcomes: list[CellOutcome], path: Path) -> None:
        with _opened(path, "w") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*self.header, *self.columns.added])
            cells = len(self.header)
            for row, found in zip(self.rows, outcomes, strict=True):
                writer.writerow([*row[:cells], *[""] * (cells - len(row)), *values_of(found)])


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRows:
    """A CSV file."""

    path: Path
    columns: Columns

    def count(self) -> int:
        return max(0, sum(1 for _ in self._rows()) - 1)

    def chunks(self, rows: int) -> Iterator[CsvChunk]:
        cells = self._rows()
        header = next(cells, [])
        if broken := [name for name in header if "\n" in name]:
            raise InputError(f"{self.path} has a line break in the column name {broken[0]!r:.60}; rename the column.")
        document = self.columns.documents_of(header, self.path)
        yield CsvChunk(header=header, rows=list(islice(cells, rows)), document=document, columns=self.columns)
        while chunk := list(islice(cells, rows)):
            yield CsvChunk(header=header, rows=chunk, document=document, columns=self.columns)

    def join(self, parts: Sequence[Path], path: Path) -> None:
        with path.open("wb") as whole:
            for number, part in enumerate(parts):
                with part.open("rb") as file:
                    if number:
                        file.readline()  # the header, in which `chunks` allows no line break
                    shutil.copyfileobj(file, whole)

    def _rows(self) -> Iterator[list[str]]:
        """Yield the header and the rows that are not blank."""
        # By default, cells of more than 131,072 characters are errors.
        csv.field_size_limit(sys.maxsize)
        try:
            with _opened(self.path, "r") as file:
                yield from filter(None, csv.reader(file))
        except (OSError, csv.Error) as error:
            raise InputError(f"{self.path} cannot be read ({one_line(error)}); give a CSV file.") from error


def _opened(path: Path, mode: Literal["r", "w"]) -> IO[str]:
    # Bytes that are no UTF-8 go through as they are; their rows are marked, because no tokenizer takes them.
    encoding = "utf-8-sig" if mode == "r" else "utf-8"
    return path.open(mode, encoding=encoding, errors="surrogateescape", newline="")
