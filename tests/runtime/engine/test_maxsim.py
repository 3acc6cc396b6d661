import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxrank import maxsim


def vectors(rng: np.random.Generator, tokens: int, dim: int = 16) -> NDArray[np.float32]:
    rows = rng.standard_normal((tokens, dim), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def test_it_is_the_sum_of_maxima() -> None:
    rng = np.random.default_rng(0)
    query = vectors(rng, 5)
    documents = [vectors(rng, n) for n in (3, 1, 0, 12, 2)]
    expected = [sum(max((q @ d for d in rows), default=-np.inf) for q in query) for rows in documents]
    np.testing.assert_allclose(maxsim(query, documents), expected, rtol=1e-5)


def test_of_single_vectors_it_is_their_product() -> None:
    query, *documents = vectors(np.random.default_rng(0), 4)
    np.testing.assert_allclose(maxsim(query, documents), [query @ document for document in documents], rtol=1e-6)


def test_a_document_without_vectors_comes_last_and_nothing_gives_nothing() -> None:
    rng = np.random.default_rng(0)
    opposite = vectors(rng, 1)
    scores = maxsim(opposite, [-opposite, np.empty((0, 16), np.float32)])
    assert scores.dtype == np.float32
    assert scores[0] == pytest.approx(-1, abs=1e-6) and scores[1] == -np.inf
    assert maxsim(opposite, []).shape == (0,)


def test_the_workspace_does_not_grow_with_the_documents() -> None:
    rng = np.random.default_rng(0)
    query, document = vectors(rng, 32), vectors(rng, 1000)
    peaks = []
    for count in (100, 800):
        tracemalloc.start()
        maxsim(query, [document] * count)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
