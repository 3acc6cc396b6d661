"""A computed result that several lazy tensors read."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedResult(Generic[T]):
    """Calls `make` at the first read and forgets the result after the last of `readers` reads.

    The tensors of one quantized matrix are saved one after the other; this computes them once and keeps only one
    matrix in memory.
    """

    def __init__(self, make: Callable[[], T], *, readers: int) -> None:
        self._make = make
        self._readers = readers
        self._results: list[T] = []
        self._reads = 0

    def read(self) -> T:
        """Return the result."""
        if not self._results:
            self._results.append(self._make())
        result = self._results[0]
        self._reads = (self._reads + 1) % self._readers
        if self._reads == 0:
            self._results.clear()
        return result
