"""LanceDB: keeps the vectors of a `Cascade` in a table on disk or in an object store."""

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import BackendError

try:
    import lancedb
    import pyarrow as pa
except ImportError as error:
    raise BackendError(
        "onnxrank.integrations.lancedb needs lancedb, which is not installed: `pip install onnxrank[lancedb]`."
    ) from error

Floats = NDArray[np.float32]


class LanceIndex:
    """A table with the columns `place`, the number of the document, and `vector`."""

    def __init__(self, database: "lancedb.DBConnection", table: str) -> None:
        """The table may exist, with the vectors of an earlier `Cascade.index`. It is compared as a whole until you make
        an index of it, with LanceDB's own `create_index(metric="cosine")`."""
        self._database = database
        self._name = table

    @property
    def dim(self) -> int:
        return int(self._table().schema.field("vector").type.list_size)

    def __len__(self) -> int:
        return int(self._table().count_rows())

    def start(self, dim: int) -> None:
        """Replace the table by an empty one."""
        fields = [pa.field("place", pa.int64()), pa.field("vector", pa.list_(pa.float32(), dim))]
        self._database.create_table(self._name, schema=pa.schema(fields), mode="overwrite")

    def add(self, vectors: Floats) -> None:
        table = self._table()
        schema, first = table.schema, len(self)
        rows = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
        places = pa.array(range(first, first + len(vectors)), pa.int64())
        table.add(pa.Table.from_arrays([places, rows], schema=schema))

    def finish(self) -> None:
        """A table is searchable at any time."""

    def search(self, vector: Floats, count: int) -> tuple[Floats, NDArray[np.int64]]:
        found = self._table().search(vector).metric("cosine").limit(count).select(["place", "_distance"]).to_arrow()
        scores = 1 - found["_distance"].to_numpy().astype(np.float32)
        return scores, found["place"].to_numpy()

    def _table(self) -> "lancedb.table.Table":
        return self._database.open_table(self._name)
