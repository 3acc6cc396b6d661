"""How much an error in each row of a weight costs: second moments of the inputs of matrix products."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Returns the second moments of the inputs x of a weight [K, N], sum of x xT over tokens, [K, K].
Read = Callable[[], NDArray[np.floating]]


class Hessians:
    """The second moments of the inputs of a graph's weights, by the weights' names; read when they are needed."""

    def __init__(self, read: Mapping[str, Read] | None = None) -> None:
        self._read: dict[str, Read] = dict(read or {})

    def of(self, name: str) -> Floats | None:
        """Return a weight's second moments, [K, K], or None if they are not known."""
        return self._read[name]().astype(np.float64) if name in self._read else None

    def change_basis(self, name: str, change: Callable[[Floats], Floats]) -> None:
        """Note that the weight's inputs are now A x, where `change` returns A m of a matrix m [K, N]."""
        if name not in self._read:
            return
        before = self._read[name]

        def read() -> Floats:
            moments = before().astype(np.float64)
            # A C AT; the moments are symmetric.
            return change(change(moments).T)

        self._read[name] = read
