"""Adds scores to an Arrow table: what Parquet files, Ray and Spark have in common."""

from typing import Any

from onnxrank.errors import BackendError
from onnxrank.offline.model import PairModel
from onnxrank.offline.rows import CellOutcome, Columns, score_rows, values_of


def pyarrow() -> Any:
    """Return the module. Raises BackendError if it is not installed."""
    try:
        import pyarrow
    except ImportError as error:
        raise BackendError("tables need pyarrow, which is not installed: `pip install onnxrank[parquet]`.") from error
    return pyarrow


def with_scores(table: Any, model: PairModel, columns: Columns) -> Any:
    """Return a pyarrow.Table with three more columns: `score` (float32), `truncated` (bool) and, where a row has no
    score, `error` (string).

    Where the column of documents has lists, the first two have lists. Other columns and the order of rows stay. Raises
    InputError if a column is missing or a new one's name is taken.
    """
    document = columns.documents_of(table.column_names, "the table")
    outcomes = score_rows(model, table[columns.query].to_pylist(), table[document].to_pylist())
    return added(table, outcomes, document, columns)


def added(table: Any, outcomes: list[CellOutcome], document: str, columns: Columns) -> Any:
    """Return a table with the outcomes of its rows as new columns."""
    for field, cells in zip(new_fields(table.schema, document, columns), _transposed(outcomes), strict=True):
        listed = pyarrow().types.is_list(field.type)
        # A row without a list of documents has no list of scores.
        found = [cell if isinstance(cell, list) else None for cell in cells] if listed else cells
        table = table.append_column(field, pyarrow().array(found, field.type))
    return table


def new_fields(schema: Any, document: str, columns: Columns) -> list[Any]:
    """Return the fields of the new columns of a table with this schema."""
    pa = pyarrow()
    score, truncated, error = columns.added
    kind = schema.field(document).type
    types = pa.float32(), pa.bool_()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        types = pa.list_(types[0]), pa.list_(types[1])
    return [pa.field(score, types[0]), pa.field(truncated, types[1]), pa.field(error, pa.string())]


def _transposed(outcomes: list[CellOutcome]) -> list[list[Any]]:
    values = [values_of(found) for found in outcomes]
    return [[row[i] for row in values] for i in range(3)]
