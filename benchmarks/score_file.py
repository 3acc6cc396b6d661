"""`onnxrank score` on many generated pairs, killed on the way: `python -m benchmarks.score_file artifacts/demo int8`.

Reports seconds, rows a second and peak memory, and checks that no row is missing, doubled or other than `predict`'s.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import typer
from pyarrow import parquet

from benchmarks.generated_pairs import pairs
from benchmarks.machine import peak_megabytes
from onnxrank import Reranker
from onnxrank.cli.console import show_json
from onnxrank.offline.score_file import ROWS

FOLDER = Path("build/score-file")
WRITTEN = 65_536
CHECKED_CHUNKS = 20
POLL_SECONDS = 0.2


def main(
    artifact: Path,
    variant: Annotated[str, typer.Argument()] = "int8",
    count: Annotated[int, typer.Option("--pairs", help="Pairs to generate.")] = 1_000_000,
    kills: Annotated[int, typer.Option(help="How often the process is killed.")] = 3,
    threads: Annotated[int | None, typer.Option(help="CPU cores; all by default.")] = None,
) -> None:
    """Print what was measured as JSON; fail if the output is not complete and equal."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    source, out = FOLDER / "pairs.parquet", FOLDER / "scores.parquet"
    out.unlink(missing_ok=True)
    write_pairs(source, count)
    command = [sys.executable, "-c", "from onnxrank.cli.app import main; main()", "score", str(artifact), str(source)]
    command += ["--out", str(out), "--variant", variant, *(["--threads", str(threads)] if threads else [])]
    start = time.perf_counter()
    peaks = [run(command, kill_after=(i + 1) * count // (kills + 1)) for i in range(kills)]
    peaks.append(run(command, kill_after=None))
    seconds = time.perf_counter() - start
    check(artifact, variant, threads, source, out, count)
    show_json(
        {
            "pairs": count,
            "kills": kills,
            "seconds": round(seconds, 1),
            "pairs_per_second": round(count / seconds, 1),
            "peak_megabytes": [round(peak) for peak in peaks],
        }
    )


def write_pairs(path: Path, count: int) -> None:
    """Write generated pairs with their row's number."""
    with parquet.ParquetWriter(
        path, pa.schema([("row", pa.int64()), ("query", pa.string()), ("document", pa.string())])
    ) as writer:
        for start in range(0, count, WRITTEN):
            found = pairs(start, min(WRITTEN, count - start))
            columns = [range(start, start + len(found)), *map(list, zip(*found, strict=True))]
            writer.write_table(pa.table(dict(zip(writer.schema.names, columns, strict=True)), writer.schema))


def run(command: list[str], *, kill_after: int | None) -> float:
    """Run the command until it ends, or kill it once so many rows are finished; return its peak memory in MB."""
    parts = FOLDER / ".scores.parquet.parts"
    peak = 0.0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            peak = max(peak, peak_megabytes(process.pid))
            if kill_after is not None and len(list(parts.glob("*-*"))) * ROWS >= kill_after:
                process.send_signal(signal.SIGKILL)
            time.sleep(POLL_SECONDS)
    expected = 0 if kill_after is None else -signal.SIGKILL
    if process.returncode != expected:
        raise RuntimeError(f"the command ended with {process.returncode} and not {expected}")
    return peak


def check(artifact: Path, variant: str, threads: int | None, source: Path, out: Path, count: int) -> None:
    """Raise RuntimeError unless every row is there once, in order, and sampled chunks have the scores of `predict`."""
    table = parquet.read_table(out)
    if table["row"].to_pylist() != list(range(count)) or table["error"].null_count != count:
        raise RuntimeError(f"{out} is not complete")
    reranker = Reranker(artifact, variant=variant, threads=threads)
    chunks = -(-count // ROWS)
    for chunk in np.linspace(0, chunks - 1, min(chunks, CHECKED_CHUNKS)).astype(int).tolist():
        rows = table.slice(chunk * ROWS, ROWS)
        given = list(zip(rows["query"].to_pylist(), rows["document"].to_pylist(), strict=True))
        if not np.array_equal(reranker.predict(given), rows["score"].to_numpy()):
            raise RuntimeError(f"the scores of chunk {chunk} of {source} are not those of predict")


if __name__ == "__main__":
    typer.run(main)
