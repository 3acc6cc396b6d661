"""nDCG of each query, against values computed by its formula."""

import math

import numpy as np
import pytest

from onnxrank.quality.measures import measure, ndcg


def by_formula(relevance: list[int], scores: list[float]) -> float:
    """nDCG@10 with the grade as gain (Järvelin and Kekäläinen 2002), for scores without ties."""

    def dcg(grades: list[int]) -> float:
        return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades[:10], 1))

    ranked = [relevance[i] for i in np.argsort(scores)[::-1]]
    return dcg(ranked) / dcg(sorted(relevance, reverse=True))


def test_ndcg_of_each_query_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    # More than ten queries and documents: the ids "10" and "2" sort in another order than the numbers.
    relevance = [[int(grade) for grade in rng.integers(0, 4, documents)] + [1] for documents in range(1, 24)]
    scores = [rng.permutation(len(row)).tolist() for row in relevance]
    found = ndcg(relevance, scores)
    assert found == pytest.approx([by_formula(*query) for query in zip(relevance, scores, strict=True)])
    named = [
        {str(i): {str(j): x for j, x in enumerate(row)} for i, row in enumerate(rows)} for rows in (relevance, scores)
    ]
    assert found.mean() == pytest.approx(measure(named[0], named[1], ["nDCG@10"])["nDCG@10"])


def test_a_query_without_a_relevant_document_has_none() -> None:
    assert ndcg([[0, 0], [1, 0]], [[2, 1], [2, 1]]).tolist() == [0, 1]
    assert ndcg([], []).shape == (0,)
