"""Exact MaxSim: for each query vector its best document vector's similarity, summed (Khattab and Zaharia 2020)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Document vectors in one matrix product: bounds the workspace (256 query vectors: 64 MB).
CHUNK_VECTORS = 65536

Vectors = NDArray[np.float32]


def maxsim(query: Vectors, documents: Sequence[Vectors]) -> NDArray[np.float32]:
    """Return the MaxSim score of each document, float32 `[len(documents)]`.

    query: `[tokens, dim]`; each of `documents` likewise. A document without vectors scores -inf. No score depends on
    the other documents: nothing is padded.
    """
    scores = np.full(len(documents), -np.inf, np.float32)
    filled = [i for i, vectors in enumerate(documents) if len(vectors)]
    for chunk in _chunks(filled, [len(documents[i]) for i in filled]):
        starts = np.cumsum([0, *(len(documents[i]) for i in chunk[:-1])])
        similarities = query @ np.concatenate([documents[i] for i in chunk]).T
        scores[chunk] = np.maximum.reduceat(similarities, starts, axis=1).sum(axis=0)
    return scores


def _chunks(indices: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    chunks: list[list[int]] = []
    total = CHUNK_VECTORS
    for index, length in zip(indices, lengths, strict=True):
        if total + length > CHUNK_VECTORS:
            chunks.append([])
            total = 0
        chunks[-1].append(index)
        total += length
    return chunks
