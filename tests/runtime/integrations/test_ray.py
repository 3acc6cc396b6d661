"""Ray Data on this machine: two workers, of which one is killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray
from ray.exceptions import RayTaskError

from onnxrank import Reranker
from onnxrank.integrations import ray as adapter
from onnxrank.integrations.ray import rerank
from onnxrank.offline.model import ModelOptions
from onnxrank.offline.rows import Columns
from tests.markdown import PAGES, blocks
from tests.runtime.integrations.pairs import pairs, predicted

# `make clusters` scores 20,000.
COUNT = int(os.environ.get("PAIRS", "600"))
BATCH = 50 if COUNT < 20_000 else 500
Q4 = ModelOptions(variant="q4")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=100 << 20,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def kill_once(marker: str, table: Any) -> Any:
    """Kill the worker's process in the middle of the dataset, the first time."""
    if table["row"][0].as_py() == COUNT // 2:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return table
        os.kill(os.getpid(), signal.SIGKILL)
    return table


def test_two_workers_of_which_one_is_killed_score_as_predict(demo: Path, tmp_path: Path) -> None:
    given = pairs(COUNT)
    table = pa.table(
        {"row": range(COUNT), "query": [query for query, _ in given], "document": [text for _, text in given]}
    )
    marker = str(tmp_path / "killed")

    class Killed(adapter.Scorer):
        def __call__(self, batch: Any) -> Any:
            return super().__call__(kill_once(marker, batch))

    blocks = [table.slice(start, BATCH) for start in range(0, COUNT, BATCH)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapter, "Scorer", Killed)
        scored = rerank(ray.data.from_arrow(blocks), demo, Q4, workers=(2, 2), batch_size=BATCH)
        rows = scored.take_all()
    assert Path(marker).exists()
    assert [row["row"] for row in rows] == list(range(COUNT))
    assert all(row["error"] is None and row["truncated"] is False for row in rows)
    assert [row["document"] for row in rows] == [text for _, text in given]
    found = np.array([row["score"] for row in rows], np.float32)
    np.testing.assert_array_equal(found, predicted(demo, given, batch=BATCH, variant="q4"))


def test_the_pages_block(demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = (block for block in blocks(PAGES["docs/clusters.md"], "python") if block.startswith("import ray"))
    monkeypatch.chdir(demo.parents[1])
    exec(compile(block, "docs/clusters.md", "exec"), {})
    best, other = capsys.readouterr().out.splitlines()
    assert "numpy.sort" in best and best > other


def test_lists_and_bad_rows(demo: Path) -> None:
    rows = [
        {"q": "sort an array", "documents": ["sort(a)", "mean(a)"], "n": 1},
        {"q": None, "documents": ["text"], "n": 2},
    ]
    scored = rerank(ray.data.from_items(rows), demo, Q4, columns=Columns(query="q", prefix="new_")).take_all()
    good, bad = sorted(scored, key=lambda row: int(row["n"]))
    expected = Reranker(demo, variant="q4", threads=1).predict(
        [("sort an array", "sort(a)"), ("sort an array", "mean(a)")]
    )
    assert good["new_score"] == expected.tolist() and good["new_error"] is None
    assert bad["new_score"] == [None] and bad["new_error"] == "query is NoneType None; give a string."


def test_columns_that_do_not_fit_are_said(demo: Path) -> None:
    with pytest.raises(RayTaskError, match="the table has no column 'document'"):
        rerank(ray.data.from_items([{"query": "q"}]), demo, Q4).take_all()
