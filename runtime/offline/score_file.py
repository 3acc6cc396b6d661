"""Scores a file of any size in bounded memory. Finished rows survive a crash: the same call then goes on after them.

Next to the output, a folder holds one file of every finished chunk, and a description of the job. The output appears by
one rename when all chunks are there.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from onnxrank.artifact.staging import FULL
from onnxrank.errors import InputError, OutputError, one_line
from onnxrank.offline.csv_rows import CsvRows
from onnxrank.offline.json_lines import JsonRows
from onnxrank.offline.model import PairModel
from onnxrank.offline.parquet import ParquetRows
from onnxrank.offline.row_file import RowFile
from onnxrank.offline.rows import Columns, error_of, score_rows
from onnxrank.progress import progress

FORMATS: dict[str, Callable[[Path, Columns], RowFile]] = {
    ".parquet": lambda path, columns: ParquetRows(path=path, columns=columns),
    ".jsonl": lambda path, columns: JsonRows(path=path, columns=columns),
    ".ndjson": lambda path, columns: JsonRows(path=path, columns=columns),
    ".csv": lambda path, columns: CsvRows(path=path, columns=columns),
}
# Rows of a chunk: what a crash costs at most, and what is in memory at the same time.
ROWS = 1024
JOB = "job.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredFile:
    """rows: of the output. failed: those with an error. resumed: those that an earlier call had finished."""

    rows: int
    failed: int
    resumed: int


def score_file(
    source: Path,
    out: Path,
    model: PairModel,
    columns: Columns,
    *,
    force: bool = False,
    show_progress: bool | None = None,
) -> ScoredFile:
    """Write the rows of `source` to `out` with the columns that `columns` adds.

    force: whether to replace an existing file. Raises InputError for a file that cannot be read or columns that do not
    fit, OutputError if the output exists, cannot be written, or was begun with other input or options.
    """
    file = _row_file(source, out, columns)
    if out.exists() and not force:
        raise OutputError(f"{out} exists; give another --out, or --force to replace it.")
    folder = out.parent / f".{out.name}.parts"
    with _writing(out):
        _begin(folder, _job(source, model, columns))
        rows = file.count()
        done = _finished(folder)
        resumed = sum(part.rows for part in done.values())
        with progress("scoring", rows - resumed, show_progress) as report:
            for index, chunk in enumerate(file.chunks(ROWS)):
                if index in done:
                    continue
                outcomes = score_rows(model, chunk.queries, chunk.documents)
                failed = sum(error_of(found) is not None for found in outcomes)
                done[index] = Part(index=index, rows=len(outcomes), failed=failed)
                chunk.write(outcomes, folder / "partial")
                (folder / "partial").rename(folder / done[index].name)
                report(len(outcomes))
        parts = [done[index] for index in sorted(done)]
        file.join([folder / part.name for part in parts], folder / "joined")
        (folder / "joined").replace(out)
        shutil.rmtree(folder)
    return ScoredFile(rows=sum(part.rows for part in parts), failed=sum(part.failed for part in parts), resumed=resumed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A finished chunk; its file's name says all about it."""

    index: int
    rows: int
    failed: int

    @property
    def name(self) -> str:
        return f"{self.index:07}-{self.rows}-{self.failed}"


def _finished(folder: Path) -> dict[int, Part]:
    """Return the finished chunks by their index."""
    names = (re.fullmatch(r"(\d+)-(\d+)-(\d+)", path.name) for path in folder.iterdir())
    found = (map(int, name.groups()) for name in names if name)
    return {index: Part(index=index, rows=rows, failed=failed) for index, rows, failed in found}


def _job(source: Path, model: PairModel, columns: Columns) -> dict[str, object]:
    """Return what the scores depend on."""
    status = source.stat()
    return {
        "input": str(source.resolve()),
        "bytes": status.st_size,
        "modified": status.st_mtime_ns,
        "weights": model.identity,
        "variant": model.variant,
        "rows": ROWS,
        **asdict(columns),
        **asdict(model.options),
    }


def _begin(folder: Path, job: dict[str, object]) -> None:
    """Make the folder of a job. Raises OutputError if it has finished rows of another one."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = json.loads((folder / JOB).read_text()) if (folder / JOB).exists() else {}
    for name, value in job.items():
        if begun.get(name) != value and _finished(folder):
            raise OutputError(
                f"{folder} was begun with another {name} ({begun.get(name)!r:.60}, now {value!r:.60}); give the same "
                "to go on, or delete that folder to start again."
            )
    (folder / "begun").write_text(json.dumps(job, indent=1))
    (folder / "begun").rename(folder / JOB)


def _row_file(source: Path, out: Path, columns: Columns) -> RowFile:
    kind = source.suffix.lower()
    if kind not in FORMATS:
        raise InputError(f"{source} is no {', '.join(FORMATS)}; convert it to one of these.")
    if not source.is_file():
        raise InputError(f"{source} is no file; give one that exists.")
    if out.suffix.lower() != kind:
        raise InputError(f"{out} should end in {kind}: a scored file has the format of its source.")
    return FORMATS[kind](source, columns)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise OutputError(
                f"the disk of {out.parent} is full; free some space and run the same command again: it keeps the "
                "finished rows."
            ) from error
        raise OutputError(
            f"{out} cannot be written ({one_line(error.strerror or error)}); choose another place."
        ) from error
