"""Times several functions in turns."""

import statistics
import time
from collections.abc import Callable, Sequence


def medians(calls: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Time the calls in turns, after one warm-up round, so that a busy moment affects all of them alike."""
    times: list[list[float]] = [[] for _ in calls]
    for round_ in range(repeats + 1):
        for call, spent in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            if round_:
                spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in times]
