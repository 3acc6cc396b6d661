"""Exact MaxSim: for each query vector its best document vector's similarity, summed (Khattab and Zaharia 2020)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def maxsim(query: Vectors, documents: Sequence[Vectors]) -> NDArray[np.float32]:
    """Return the MaxSim score of each document, float32 `[len(documents)]`.

    query: `[tokens, dim]`; each of `documents` likewise. A document without vectors scores -inf. No score depends on
    the other documents: nothing is padded or joined, and the workspace is one document's similarities.
    """
    columns = np.ascontiguousarray(query.T)
    scores = np.full(len(documents), -np.inf, np.float32)
    # A product for each: to copy documents together for a larger one takes longer than it saves.
    for i, vectors in enumerate(documents):
        if len(vectors):
            scores[i] = (vectors @ columns).max(axis=0).sum()
    return scores
