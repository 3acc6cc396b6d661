"""Qdrant in its local mode and LanceDB on disk hold what a cascade finds."""

from collections.abc import Callable
from pathlib import Path

import lancedb
import numpy as np
import pytest
from numpy.typing import NDArray
from qdrant_client import QdrantClient

from onnxrank.integrations.lancedb import LanceIndex
from onnxrank.integrations.qdrant import QdrantIndex
from onnxrank.vector_index import VectorIndex

Open = Callable[[Path], VectorIndex]


def qdrant(folder: Path) -> VectorIndex:
    return QdrantIndex(QdrantClient(":memory:"), "documents")


def lance(folder: Path) -> VectorIndex:
    return LanceIndex(lancedb.connect(folder), "documents")


def vectors(count: int, dim: int) -> NDArray[np.float32]:
    found = np.random.default_rng(0).standard_normal((count, dim), np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


@pytest.mark.parametrize("engine", [qdrant, lance])
def test_vectors_are_found_by_their_place(engine: Open, tmp_path: Path) -> None:
    index = engine(tmp_path)
    # What is started again holds nothing of before.
    index.start(4)
    index.add(vectors(3, 4))
    index.start(8)
    given = vectors(600, 8)
    index.add(given[:300])
    index.add(given[300:])
    index.finish()
    assert (len(index), index.dim) == (600, 8)
    similarities = given @ given[400]
    scores, places = index.search(given[400], 5)
    assert places.dtype == np.int64 and places.tolist() == np.argsort(-similarities)[:5].tolist()
    np.testing.assert_allclose(scores, np.sort(similarities)[::-1][:5], atol=1e-5)


def test_a_table_stays_on_disk(tmp_path: Path) -> None:
    given = vectors(20, 8)
    index = lance(tmp_path)
    index.start(8)
    index.add(given)
    again = lance(tmp_path)
    assert len(again) == 20 and again.search(given[3], 1)[1].tolist() == [3]
