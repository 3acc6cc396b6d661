"""`RowFile`: what `onnxrank score` needs of a file format. A scored file has the format and columns of its source."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from onnxrank.offline.rows import CellOutcome


class Chunk(Protocol):
    """Consecutive rows of a file."""

    @property
    def queries(self) -> Sequence[object]: ...

    @property
    def documents(self) -> Sequence[object]: ...

    def write(self, outcomes: list[CellOutcome], path: Path) -> None:
        """Write the rows with their outcomes as a file of the same format."""
        ...


class RowFile(Protocol):
    """A file with a query and a document, or several, in each row."""

    def count(self) -> int:
        """Return the number of rows."""
        ...

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Yield the rows in chunks of this many, at least one chunk. Raises InputError if the file cannot be read or
        its columns do not fit."""
        ...

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Write one file with the rows of others, which chunks of this file wrote."""
        ...
