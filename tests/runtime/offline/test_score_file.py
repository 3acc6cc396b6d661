"""`onnxrank score`: complete and equal whatever happens on the way; other columns stay as they are."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from onnxrank import Reranker
from onnxrank.cli.app import app
from onnxrank.errors import BackendError, InputError, OutputError
from onnxrank.offline import score_file as scoring
from onnxrank.offline.model import ModelOptions, PairModel
from onnxrank.offline.rows import Columns
from onnxrank.offline.score_file import ScoredFile, score_file
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import TINY

ROWS = [{"query": f"query {i // 3}", "document": f"document {i} " * (i % 4), "id": f"{i:03}"} for i in range(10)]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    checkpoint = write_checkpoint(folder / "checkpoint", TINY["qwen3-reranker"].write)
    export_tiny(checkpoint, folder / "artifact", family="qwen3-reranker")
    return folder / "artifact"


@pytest.fixture(scope="module")
def model(artifact: Path) -> PairModel:
    return PairModel(artifact, threads=1)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "ROWS", 4)


def write_parquet(path: Path) -> None:
    # Row groups and chunks end at different rows.
    parquet.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=3)


def write_json(path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def write_csv(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["query", "document", "id"])
        writer.writeheader()
        writer.writerows(ROWS)


WRITERS: dict[str, Callable[[Path], None]] = {".parquet": write_parquet, ".jsonl": write_json, ".csv": write_csv}


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(parquet.read_table(path).to_pylist())
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text().splitlines()]


def expected(model: Reranker) -> list[float]:
    """Chunks are scored one by one."""
    pairs = [(row["query"], row["document"]) for row in ROWS]
    return [score for start in (0, 4, 8) for score in model.predict(pairs[start : start + 4]).tolist()]


@pytest.mark.parametrize("suffix", WRITERS)
def test_rows_keep_their_columns_and_get_scores(suffix: str, model: PairModel, artifact: Path, tmp_path: Path) -> None:
    source, out = tmp_path / f"pairs{suffix}", tmp_path / f"scores{suffix}"
    WRITERS[suffix](source)
    assert score_file(source, out, model, Columns()) == ScoredFile(rows=10, failed=0, resumed=0)
    found = read(out)
    assert [{name: row[name] for name in ROWS[0]} for row in found] == ROWS
    assert list(found[0]) == [*ROWS[0], "score", "truncated", "error"]
    scores = [np.float32(row["score"]) for row in found]
    assert scores == [np.float32(score) for score in expected(Reranker(artifact, threads=1))]
    assert {row["error"] for row in found} == ({""} if suffix == ".csv" else {None})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, out.name])


def test_parquet_keeps_types_and_takes_lists_and_structs(model: PairModel, tmp_path: Path) -> None:
    table = pa.table(
        {
            "query": pa.array(["a", "b", None]).dictionary_encode(),
            "documents": [["x", "y"], None, []],
            "number": pa.array([1, None, 3], pa.int16()),
        }
    )
    parquet.write_table(table, tmp_path / "in.parquet")
    assert score_file(tmp_path / "in.parquet", tmp_path / "out.parquet", model, Columns()).failed == 1
    found = parquet.read_table(tmp_path / "out.parquet")
    assert found.schema.field("number").type == pa.int16() and found["number"].to_pylist() == [1, None, 3]
    assert found.schema.field("score").type == pa.list_(pa.float32())
    scores = found["score"].to_pylist()
    assert len(scores[0]) == 2 and scores[1:] == [None, []]
    assert found["error"].to_pylist() == [None, "documents[0] is NoneType None; give a string.", None]


def test_lines_and_rows_that_cannot_be_read_are_marked(model: PairModel, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(
        b'\xef\xbb\xbf{"query": "q", "document": "d", "n": 1}\n{broken\n\n[1]\n\xff\n{"query": "\\ud800"}\n'
    )
    assert score_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", model, Columns()).failed == 4
    first, broken, listed, byte, surrogate = read(tmp_path / "out.jsonl")
    assert first["n"] == 1 and first["error"] is None
    assert broken["line"] == "{broken" and broken["error"].startswith("line 2 is no JSON")
    assert listed["error"] == "line 4 is list, not an object"
    assert byte["error"].startswith("line 5 is not in UTF-8")
    assert surrogate["query"] == "\ud800" and "which is no character" in surrogate["error"]

    (tmp_path / "in.csv").write_bytes(b'query,document\nq,"d\n2"\nq\nq,d,more\n\nq,\xff\n')
    assert score_file(tmp_path / "in.csv", tmp_path / "out.csv", model, Columns()).failed == 3
    assert (tmp_path / "out.csv").read_bytes().splitlines()[-1].startswith(b"q,\xff,,,")
    with (tmp_path / "out.csv").open(encoding="latin-1", newline="") as file:
        errors = [row["error"] for row in csv.DictReader(file)]
    assert errors[:3] == ["", "the row has 1 cells, and the header 2", "the row has 3 cells, and the header 2"]
    assert "which is no character" in errors[3]


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_without_rows_has_no_scores(suffix: str, model: PairModel, tmp_path: Path) -> None:
    WRITERS[suffix](tmp_path / f"in{suffix}")
    if suffix == ".parquet":
        parquet.write_table(parquet.read_table(tmp_path / "in.parquet").slice(0, 0), tmp_path / "in.parquet")
    else:
        lines = (tmp_path / f"in{suffix}").read_text().splitlines(keepends=True)
        (tmp_path / f"in{suffix}").write_text("".join(lines[: suffix == ".csv"]))
    assert score_file(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}", model, Columns()).rows == 0
    assert read(tmp_path / f"out{suffix}") == []


KILLED = """
import os, signal, sys
from pathlib import Path
from onnxrank.cli.app import main
from onnxrank.offline import score_file

score_file.ROWS = 4
rename = Path.rename
left = int(os.environ["RENAMES"])

def killed(self, target):
    # The process ends before the rename, when what it renames is complete.
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)

Path.rename = killed
main()
"""


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_killed_process_goes_on_where_it_stopped(
    suffix: str, model: PairModel, artifact: Path, tmp_path: Path
) -> None:
    source, out, whole = (tmp_path / f"{name}{suffix}" for name in ("pairs", "scores", "whole"))
    WRITERS[suffix](source)
    score_file(source, whole, model, Columns())
    command = [sys.executable, "-c", KILLED, "score", str(artifact), str(source), "--out", str(out)]
    command += ["--threads", "1", "--json"]
    # The first rename is that of the job's description; each process but the last is killed after one more chunk.
    for renames in (2, 2):
        ended = subprocess.run(command, env={**os.environ, "RENAMES": str(renames)}, check=False)
        assert ended.returncode == -signal.SIGKILL and not out.exists()
    process = subprocess.run(command, env={**os.environ, "RENAMES": "9"}, check=True, capture_output=True, text=True)
    assert json.loads(process.stdout) == {"rows": 10, "failed": 0, "resumed": 8}
    assert out.read_bytes() == whole.read_bytes()


def test_what_was_begun_with_other_options_is_not_mixed(model: PairModel, artifact: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "pairs.csv", tmp_path / "scores.csv"
    write_csv(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(OutputError, match="is full; free some space and run the same command again"):
            score_file(source, out, model, Columns())
    other = PairModel(artifact, ModelOptions(instruction="Find recipes."))
    with pytest.raises(OutputError, match=r"was begun with another instruction \(None, now 'Find recipes.'\)"):
        score_file(source, out, other, Columns())
    assert score_file(source, out, model, Columns()).resumed == 10
    with pytest.raises(OutputError, match=r"scores.csv exists; give another --out, or --force"):
        score_file(source, out, model, Columns())
    assert score_file(source, out, other, Columns(), force=True).resumed == 0


@pytest.mark.parametrize(
    ("source", "out", "sentence"),
    [
        ("pairs.txt", "o.txt", "is no .parquet, .jsonl, .ndjson, .csv; convert it"),
        ("none.csv", "o.csv", "none.csv is no file"),
        ("pairs.csv", "o.jsonl", "o.jsonl should end in .csv"),
        ("bad.parquet", "o.parquet", r"bad.parquet cannot be read \(.*\); give a Parquet file"),
        ("other.jsonl", "o.jsonl", "other.jsonl has no column 'query'; .* among 'q'"),
        ("empty.csv", "o.csv", "empty.csv has no column 'query'"),
    ],
)
def test_bad_files_are_one_sentence(model: PairModel, tmp_path: Path, source: str, out: str, sentence: str) -> None:
    write_csv(tmp_path / "pairs.csv")
    (tmp_path / "bad.parquet").write_text("no Parquet")
    (tmp_path / "other.jsonl").write_text('{"q": 1}')
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match=sentence):
        score_file(tmp_path / source, tmp_path / out, model, Columns())
    assert not (tmp_path / out).exists()


def test_a_corrected_file_is_another_job_if_nothing_was_finished(model: PairModel, tmp_path: Path) -> None:
    source, out = tmp_path / "pairs.parquet", tmp_path / "scores.parquet"
    source.write_text("no Parquet")
    with pytest.raises(InputError, match="give a Parquet file"):
        score_file(source, out, model, Columns())
    write_parquet(source)
    assert score_file(source, out, model, Columns()).rows == 10


def test_a_missing_pyarrow_is_said(model: PairModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "pairs.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BackendError, match=r"pip install onnxrank\[parquet\]"):
        score_file(tmp_path / "pairs.parquet", tmp_path / "out.parquet", model, Columns())


def test_the_command_says_what_it_wrote(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("q,d\nquery,text\nq,\n")
    options = ["--query", "q", "--document", "d", "--prefix", "new_", "--raw", "--progress"]
    arguments = ["score", artifact, tmp_path / "in.csv", "--out", tmp_path / "out.csv", *options]
    shown = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert f"wrote {tmp_path / 'out.csv'}: 2 rows" in shown.stdout
    assert shown.stderr.splitlines()[-1] == "scoring: 2 of 2"
    (first, _) = read(tmp_path / "out.csv")
    logit = Reranker(artifact).score([("query", "text"), ("q", "")]).logits[0]
    assert np.float32(first["new_score"]) == logit
