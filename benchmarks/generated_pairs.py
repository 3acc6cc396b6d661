"""Pairs of random words, the same at every call: as many as a benchmark wants, in any part."""

import numpy as np

WORDS = "sort array axis mean graph path value index matrix sum of the along with two".split()
PER_QUERY = 20


def pairs(start: int, count: int) -> list[tuple[str, str]]:
    """Return pairs number `start` and following; 20 documents of 0 to 40 words for each query of 3 to 8."""
    found: list[tuple[str, str]] = []
    for query in range(start // PER_QUERY, -(-(start + count) // PER_QUERY)):
        rng = np.random.default_rng(query)
        lengths = [int(rng.integers(3, 9)), *rng.integers(0, 41, PER_QUERY).tolist()]
        text, *documents = (" ".join(rng.choice(WORDS, length)) for length in lengths)
        found += [(text, document) for document in documents]
    first = start % PER_QUERY
    return found[first : first + count]
