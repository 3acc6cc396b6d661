"""How many cores there are to compute on, and who may compute on them at a moment."""

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
    """Return how many cores this process may use; threads of one core share its arithmetic, and count once. A container
    whose time is limited counts as many cores as that time fills."""
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
    """Lends cores to runs, in the order in which they ask: however many callers there are, no more threads compute than
    there are cores."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.forget()
        forget_in_children(self)

    def forget(self) -> None:
        """Start with all cores free: in a forked child the parent's runs do not exist."""
        self._free = self.count
        self._changed = threading.Condition()
        # Held by the first in the queue while it waits, so that a run that needs all cores gets its turn.
        self._first = threading.Lock()

    @contextmanager
    def lent(self, count: int) -> Iterator[None]:
        """Wait for `count` free cores and keep them for the block."""
        with self._first, self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()
