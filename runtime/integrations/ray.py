"""Ray Data: scores a dataset with a pool of workers, each with a scorer of its own."""

from pathlib import Path
from typing import Any

from onnxrank.errors import BackendError
from onnxrank.offline.arrow import with_scores
from onnxrank.offline.model import ModelOptions, PairModel
from onnxrank.offline.rows import Columns

try:
    import ray.data
except ImportError as error:
    raise BackendError(
        "onnxrank.integrations.ray needs Ray Data, which is not installed: `pip install onnxrank[ray]`."
    ) from error

# Rows that a worker scores at a time, and at most the work that is done again if it is killed.
ROWS = 512


class Scorer:
    """What runs in a worker: opens the artifact once, then scores one batch after the other."""

    def __init__(self, artifact: str, options: ModelOptions | None, columns: Columns, threads: int) -> None:
        self._model = PairModel(artifact, options, threads=threads)
        self._columns = columns

    def __call__(self, table: Any) -> Any:
        return with_scores(table, self._model, self._columns)


def rerank(
    dataset: "ray.data.Dataset",
    artifact: str | Path,
    options: ModelOptions | None = None,
    *,
    columns: Columns | None = None,
    num_cpus: int = 1,
    workers: tuple[int, int | None] = (1, None),
    batch_size: int = ROWS,
) -> "ray.data.Dataset":
    """Return a dataset with three more columns: `score` (float32), `truncated` and, for rows without a score, `error`.

    artifact: a folder that every node has at the same path, or a hub id. columns: `query` and `document` (or
    `documents`, whose lists get lists of scores) by default. num_cpus: cores of each worker, as many as
    its scorer has threads. workers: the least and the most workers; None for as many as there are cores for.
    batch_size: rows that are scored together; those with the same query share its computation.

    Other columns and the order of rows stay. Ray starts a killed worker again, with the batch it was scoring. The
    workers raise what `Reranker` raises for an artifact or columns that do not fit.
    """
    folder = Path(artifact)
    least, most = workers
    scored = dataset.map_batches(
        Scorer,
        fn_constructor_kwargs={
            "artifact": str(folder.resolve() if folder.is_dir() else artifact),
            "options": options,
            "columns": columns or Columns(),
            "threads": num_cpus,
        },
        compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
        num_cpus=num_cpus,
        batch_size=batch_size,
        batch_format="pyarrow",
        udf_modifying_row_count=False,
    )
    scored.context.execution_options.preserve_order = True
    return scored
