"""Exact MaxSim: the sum, over query vectors, of the best similarity to a document vector (Khattab and Zaharia 2020)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def maxsim(query: Vectors, documents: Sequence[Vectors]) -> NDArray[np.float32]:
    """Return the MaxSim score of each document, float32 `[len(documents)]`.

    query and each of `documents`: `[tokens, dim]`, or each a single vector `[dim]`. A document without vectors scores
    -inf. No score depends on the other documents, because none are padded or joined; the workspace is one document's
    similarities.
    """
    columns = np.ascontiguousarray(query.T)
    scores = np.full(len(documents), -np.inf, np.float32)
    # One product per document: copying documents together for a larger product takes longer than it saves.
    for i, vectors in enumerate(documents):
        if len(vectors):
            scores[i] = (vectors @ columns).max(axis=0).sum()
    return scores
