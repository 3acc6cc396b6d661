"""Timing of several ways beside each other."""

import statistics
import time
from collections.abc import Callable, Sequence


def medians(calls: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Time each call in turn, after one round to warm up, so that a busy moment touches all alike."""
    times: list[list[float]] = [[] for _ in calls]
    for round_ in range(repeats + 1):
        for call, spent in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            if round_:
                spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in times]
