"""Parquet files: columns keep their types, documents may be structs or lists."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxrank.errors import InputError, one_line
from onnxrank.offline.arrow import added, pyarrow
from onnxrank.offline.rows import CellOutcome, Columns

# Of a column, read at a time.
READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetChunk:
    """Rows as a pyarrow.Table."""

    table: Any
    document: str
    columns: Columns

    @property
    def queries(self) -> list[object]:
        return list(self.table[self.columns.query].to_pylist())

    @property
    def documents(self) -> list[object]:
        return list(self.table[self.document].to_pylist())

    def write(self, outcomes: list[CellOutcome], path: Path) -> None:
        from pyarrow import parquet

        parquet.write_table(added(self.table, outcomes, self.document, self.columns), path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetRows:
    """A Parquet file."""

    path: Path
    columns: Columns

    def count(self) -> int:
        with self._opened() as file:
            return int(file.metadata.num_rows)

    def chunks(self, rows: int) -> Iterator[ParquetChunk]:
        with self._opened() as file:
            schema = file.schema_arrow
            document = self.columns.documents_of(schema.names, self.path)
            # Each reading thread keeps memory of its own.
            batches = file.iter_batches(batch_size=rows, use_threads=False) if file.metadata.num_rows else [None]
            for batch in batches:
                table = pyarrow().Table.from_batches([] if batch is None else [batch], schema)
                yield ParquetChunk(table=table, document=document, columns=self.columns)

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Each part becomes a row group."""
        from pyarrow import parquet

        with parquet.ParquetWriter(path, parquet.read_schema(parts[0])) as writer:
            for part in parts:
                writer.write_table(parquet.read_table(part))

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        pyarrow()
        from pyarrow import lib, parquet

        try:
            # By default pyarrow holds whole row groups, and more of them the longer it reads.
            with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=READ_BYTES) as file:
                yield file
        except (lib.ArrowException, OSError) as error:
            raise InputError(f"{self.path} cannot be read ({one_line(error)}); give a Parquet file.") from error
