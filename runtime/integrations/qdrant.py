"""Qdrant: keeps the vectors of a `Cascade` in a collection, on a server or in a local folder."""

from itertools import count as numbers

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import BackendError

try:
    from qdrant_client import QdrantClient, models
except ImportError as error:
    raise BackendError(
        "onnxrank.integrations.qdrant needs qdrant-client, which is not installed: `pip install onnxrank[qdrant]`."
    ) from error

Floats = NDArray[np.float32]
# Vectors of one request.
BATCH = 256


class QdrantIndex:
    """A collection whose points are numbered as the documents of the cascade are."""

    def __init__(self, client: QdrantClient, collection: str) -> None:
        """The collection may exist, with the vectors of an earlier `Cascade.index`."""
        self._client = client
        self._collection = collection
        self._places = numbers()

    @property
    def dim(self) -> int:
        parameters = self._client.get_collection(self._collection).config.params.vectors
        assert isinstance(parameters, models.VectorParams)  # a collection of `start` has one vector per point
        return int(parameters.size)

    def __len__(self) -> int:
        return int(self._client.count(self._collection).count)

    def start(self, dim: int) -> None:
        """Replace the collection by an empty one."""
        if self._client.collection_exists(self._collection):
            self._client.delete_collection(self._collection)
        parameters = models.VectorParams(size=dim, distance=models.Distance.COSINE)
        self._client.create_collection(self._collection, vectors_config=parameters)
        self._places = numbers()

    def add(self, vectors: Floats) -> None:
        for start in range(0, len(vectors), BATCH):
            batch = vectors[start : start + BATCH].tolist()
            points = [models.PointStruct(id=next(self._places), vector=vector) for vector in batch]
            self._client.upsert(self._collection, points)

    def finish(self) -> None:
        """Qdrant builds its graph while points arrive."""

    def search(self, vector: Floats, count: int) -> tuple[Floats, NDArray[np.int64]]:
        found = self._client.query_points(
            self._collection, query=vector.tolist(), limit=count, with_payload=False
        ).points
        return np.array([hit.score for hit in found], np.float32), np.array([hit.id for hit in found], np.int64)
