"""Counts the usable cores and limits how many compute at the same time."""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxrank.engine.forks import forget_in_children

# A container's limit of processor time (cgroup v2): microseconds, or "max", in each period.
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Return how many physical cores this process may use: hardware threads of one core share its arithmetic units and
    count as one. A container's limit of processor time is rounded up to whole cores."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    processors = os.sched_getaffinity(0)
    siblings = [Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list") for number in processors]
    known = all(path.is_file() for path in siblings)
    cores = len({path.read_text() for path in siblings}) if known else len(processors)
    if CPU_LIMIT.is_file():
        microseconds, period = CPU_LIMIT.read_text().split()
        if microseconds != "max":
            cores = min(cores, math.ceil(int(microseconds) / int(period)))
    return cores


class Cores:
    """Lends cores to runs, first come, first served, so that no more threads compute than there are cores, however many
    callers there are."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.forget()
        forget_in_children(self)

    def forget(self) -> None:
        """Mark all cores as free: the parent's runs do not exist in a forked child."""
        self._free = self.count
        self._changed = threading.Condition()
        # The first run in the queue holds it while it waits, so that smaller runs cannot overtake a large one.
        self._first = threading.Lock()

    @contextmanager
    def lent(self, count: int) -> Iterator[None]:
        """Wait for `count` free cores and reserve them during the block."""
        with self._first, self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()
