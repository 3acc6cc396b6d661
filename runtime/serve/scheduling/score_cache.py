"""`ScoreCache`: results of units by their key, which is exact: a result depends on nothing but weights and tokens."""

import sys
from collections import OrderedDict

import numpy as np

from onnxrank.serve.model.work import Result

# What an entry of an OrderedDict takes besides key and value, in CPython: its slot, its link, its hash.
ENTRY = 160


class ScoreCache:
    """The most recently used results. bytes: what it holds, in memory."""

    def __init__(self, most_bytes: int) -> None:
        self.bytes = 0
        self._most_bytes = most_bytes
        self._results: OrderedDict[bytes, Result] = OrderedDict()

    def get(self, key: bytes) -> Result | None:
        """Return a result, or None if it is not known."""
        if key not in self._results:
            return None
        self._results.move_to_end(key)
        return self._results[key]

    def put(self, key: bytes, result: Result) -> None:
        """Remember a result; those that were not used for the longest time are forgotten."""
        if not self._most_bytes or key in self._results or not np.isfinite(result).all():
            return
        # A copy, because a row of a batch would keep the whole batch in memory.
        self._results[key] = result.copy()
        self.bytes += _size(key, self._results[key])
        while self.bytes > self._most_bytes:
            oldest, forgotten = self._results.popitem(last=False)
            self.bytes -= _size(oldest, forgotten)


def _size(key: bytes, result: Result) -> int:
    return ENTRY + sys.getsizeof(key) + sys.getsizeof(result)
