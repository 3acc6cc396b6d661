"""Spark on this machine: two workers, of which one is killed."""

import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from onnxrank import Reranker
from onnxrank.errors import InputError
from onnxrank.integrations import spark
from onnxrank.integrations.spark import rerank
from onnxrank.offline.model import ModelOptions
from onnxrank.offline.rows import Columns
from tests.markdown import PAGES, blocks
from tests.runtime.integrations.pairs import pairs, predicted

# `make clusters` scores 20,000.
COUNT = int(os.environ.get("PAIRS", "600"))
PARTITIONS = 4
Q4 = ModelOptions(variant="q4")


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    # local-cluster would start other machines' processes; two threads of one are enough, and [2, 2] retries a task.
    made = (
        SparkSession.builder.master("local[2, 2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "400")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.memory", "1g")
        .getOrCreate()
    )
    yield made
    made.stop()


def killed_once(marker: str, batches: Iterable[Any]) -> Iterator[Any]:
    for batch in batches:
        if COUNT // 2 in batch.column("row").to_pylist():
            try:
                os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        yield batch


def test_workers_of_which_one_is_killed_score_as_predict(
    session: SparkSession, demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = pairs(COUNT)
    marker = str(tmp_path / "killed")
    scored = spark._scored

    def killed(batches: Iterable[Any], **options: Any) -> Iterator[Any]:
        yield from scored(killed_once(marker, batches), **options)

    monkeypatch.setattr(spark, "_scored", killed)
    numbered = session.sparkContext.parallelize([(i, *pair) for i, pair in enumerate(given)], PARTITIONS)
    rows = rerank(numbered.toDF(["row", "query", "document"]), demo, Q4).collect()
    assert Path(marker).exists()
    assert sorted(row["row"] for row in rows) == list(range(COUNT))
    assert all(row["error"] is None and row["truncated"] is False for row in rows)
    found = np.empty(COUNT, np.float32)
    for row in rows:
        found[row["row"]] = row["score"]
        assert (row["query"], row["document"]) == given[row["row"]]
    # A partition's rows come in batches of 400.
    size = COUNT // PARTITIONS
    for start in range(0, COUNT, size):
        expected = predicted(demo, given[start : start + size], batch=400, variant="q4")
        np.testing.assert_array_equal(found[start : start + size], expected)


def test_a_folder_that_spark_sent_lists_and_bad_rows(session: SparkSession, demo: Path) -> None:
    session.sparkContext.addFile(str(demo), recursive=True)
    rows = [("sort an array", ["sort(a)", "mean(a)"], 1), (None, ["text"], None)]
    frame = session.createDataFrame(rows, "q string, documents array<string>, n int")
    good, bad = rerank(frame.coalesce(1), "demo", Q4, columns=Columns(query="q", prefix="new_")).collect()
    expected = Reranker(demo, variant="q4", threads=1).predict(
        [("sort an array", "sort(a)"), ("sort an array", "mean(a)")]
    )
    assert good["new_score"] == expected.tolist() and good["n"] == 1
    assert bad["new_score"] == [None] and bad["new_error"] == "query is NoneType None; give a string."
    assert bad["n"] is None


def test_the_pages_block(
    session: SparkSession, demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = (block for block in blocks(PAGES["docs/clusters.md"], "python") if "pyspark" in block)
    monkeypatch.chdir(demo.parents[1])
    exec(compile(block, "docs/clusters.md", "exec"), {})
    best, other = capsys.readouterr().out.splitlines()
    assert "numpy.sort" in best and best > other


def test_columns_that_do_not_fit_are_said(session: SparkSession, demo: Path) -> None:
    with pytest.raises(InputError, match="the DataFrame has no column 'document'"):
        rerank(session.createDataFrame([("q",)], ["query"]), demo)
