"""Spark: scores a DataFrame, with one scorer in each Python worker.

By `mapInArrow` and not `mapInPandas`: pandas would turn columns of integers with nulls into floats.
"""

from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from onnxrank.errors import BackendError
from onnxrank.offline.arrow import pyarrow, with_scores
from onnxrank.offline.model import ModelOptions, PairModel
from onnxrank.offline.rows import Columns

try:
    from pyspark import SparkFiles
    from pyspark.sql import DataFrame
    from pyspark.sql.types import ArrayType, BooleanType, DataType, FloatType, StringType, StructField, StructType
except ImportError as error:
    raise BackendError(
        "onnxrank.integrations.spark needs pyspark, which is not installed: `pip install onnxrank[spark]`."
    ) from error

# Rows that a worker scores at a time. Spark's own batches, of 10,000 rows, would take minutes each.
ROWS = 512


def rerank(
    frame: DataFrame,
    artifact: str | Path,
    options: ModelOptions | None = None,
    *,
    columns: Columns | None = None,
    threads: int | None = None,
) -> DataFrame:
    """Return a DataFrame with three more columns: `score` (float), `truncated` and, for rows without a score, `error`.

    artifact: a folder that every machine has at the same path, the name of a folder that
    `spark.sparkContext.addFile(folder, recursive=True)` sent to them, or a hub id. columns: `query` and `document` (or
    `documents`, whose lists get lists of scores) by default. threads: cores of each worker's scorer;
    `spark.task.cpus` by default, which is what Spark counts on.

    Other columns stay, and the order of rows within a partition. Raises InputError for columns that do not fit; the
    workers raise what `Reranker` raises for an artifact.
    """
    columns = columns or Columns()
    document = columns.documents_of(frame.columns, "the DataFrame")
    folder = Path(artifact)
    score = partial(
        _scored,
        artifact=str(folder.resolve() if folder.is_dir() else artifact),
        options=options,
        columns=columns,
        threads=threads or int(frame.sparkSession.conf.get("spark.task.cpus", "1") or 1),
    )
    return frame.mapInArrow(score, _schema(frame.schema, document, columns))


def _scored(
    batches: Iterable[Any], *, artifact: str, options: ModelOptions | None, columns: Columns, threads: int
) -> Iterator[Any]:
    model = _model(artifact, options, threads)
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            table = pyarrow().Table.from_batches([batch.slice(start, ROWS)])
            yield from with_scores(table, model, columns).to_batches()


@cache
def _model(artifact: str, options: ModelOptions | None, threads: int) -> PairModel:
    """Return the worker's scorer, which it keeps for its next tasks."""
    sent = Path(SparkFiles.get(artifact))
    return PairModel(sent if not Path(artifact).is_dir() and sent.is_dir() else artifact, options, threads=threads)


def _schema(schema: StructType, document: str, columns: Columns) -> StructType:
    score, truncated, error = columns.added
    kinds: tuple[DataType, DataType] = FloatType(), BooleanType()
    if isinstance(schema[document].dataType, ArrayType):
        kinds = ArrayType(kinds[0]), ArrayType(kinds[1])
    new = [StructField(score, kinds[0]), StructField(truncated, kinds[1]), StructField(error, StringType())]
    return StructType([*schema.fields, *new])
