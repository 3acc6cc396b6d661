"""`Queue`: which units run next, so that every request gets its share, and what is asked for twice is computed once.

Requests of a class take turns (deficit round robin, in tokens): a turn is worth at least as many tokens as keep all
cores busy, and a request that took more, because its documents are long, waits until it has paid for that. One for
which a round runs comes after those for which none does. High priority goes before normal, and normal before low; but
of eight rounds, one begins with normal and one with low, so that nothing waits for ever.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from onnxrank.serve.model.work import Model, Result, Unit
from onnxrank.serve.requests import Priority
from onnxrank.serve.scheduling.job import Job

# Of how many rounds one begins with each of the lower classes.
CYCLE = 8
# Turns of a full round, at most: each has its own query, and the more documents share one, the better.
TURNS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Units that run together. jobs: for which they were taken; others may wait for their results too."""

    model: Model
    units: Sequence[Unit[Any]]
    jobs: frozenset[Job]

    @property
    def tokens(self) -> int:
        return sum(unit.cost for unit in self.units)


class Queue:
    """Jobs in line. tokens: what waits, in tokens to compute."""

    def __init__(self, budget: Callable[[Model], int]) -> None:
        """budget: of a round of a model, in tokens."""
        self.tokens = 0
        self._budget = budget
        self._lines: dict[Priority, deque[Job]] = {"high": deque(), "normal": deque(), "low": deque()}
        self._wanted: dict[bytes, list[Job]] = {}
        self._running: set[bytes] = set()
        self._rounds = 0

    @property
    def jobs(self) -> int:
        """How many jobs have units that no round has taken yet."""
        return sum(map(len, self._lines.values()))

    def add(self, job: Job) -> None:
        """Put a job in line."""
        for key in job.missing:
            self._wanted.setdefault(key, []).append(job)
        if job.pending:
            self._lines[job.priority].append(job)
            self.tokens += job.queued

    def remove(self, job: Job) -> None:
        """Forget a job that is over: its units do not run, unless other jobs want them. Others are not touched."""
        for key in job.missing:
            wanting = self._wanted.get(key, [])
            if job in wanting:
                wanting.remove(job)
            if not wanting:
                self._wanted.pop(key, None)
        if job in self._lines[job.priority]:
            self._lines[job.priority].remove(job)
            self.tokens -= job.queued

    def take(self, served: Collection[Job]) -> Round | None:
        """Return the next round, or None if nothing waits. All its units are of one model.

        served: the jobs of the rounds that run now.
        """
        lines = [self._lines[priority] for priority in self._order()]
        while first := next(filter(None, (_first(line, served) for line in lines)), None):
            model = first.model
            left = self._budget(model)
            worth = max(model.round_tokens, left // TURNS)
            units: list[Unit[Any]] = []
            jobs: set[Job] = set()
            seen = set(served)
            for line in lines:
                while left > 0 and (job := _first([job for job in line if job.model is model], seen)):
                    seen.add(job)
                    line.remove(job)
                    if turn := self._turn(job, worth):
                        units += turn
                        jobs.add(job)
                        left -= sum(unit.cost for unit in turn)
                    if job.over:
                        self.tokens -= job.queued
                    elif job.pending:
                        line.append(job)
            if units:
                return Round(model=model, units=units, jobs=frozenset(jobs))
        return None

    def deliver(self, key: bytes, result: Result | BaseException) -> None:
        """Give a result to all jobs that want it."""
        self._running.discard(key)
        for job in self._wanted.pop(key, ()):
            job.receive(key, result)

    def _turn(self, job: Job, worth: int) -> list[Unit[Any]]:
        """Return what a job may take in its turn: nothing while it is in debt, else at least a unit for each core,
        because a batch that runs alone has to be split over the cores."""
        job.deficit += worth
        taken: list[Unit[Any]] = []
        while job.pending and not job.over and (job.deficit > 0 or 0 < len(taken) < job.model.cores):
            unit = job.take()
            self.tokens -= unit.cost
            # Another job's turn may have computed it, or is computing it now.
            if job.misses(unit.key) and unit.key not in self._running:
                self._running.add(unit.key)
                job.deficit -= unit.cost
                taken.append(unit)
        return taken

    def _order(self) -> tuple[Priority, ...]:
        self._rounds += 1
        if self._rounds % CYCLE == 0:
            return "low", "normal", "high"
        if self._rounds % CYCLE == CYCLE // 2:
            return "normal", "high", "low"
        return "high", "normal", "low"


def _first(line: Sequence[Job], served: Collection[Job]) -> Job | None:
    """Return the first job of a line that is not served yet, or else the first; None if nobody waits."""
    return next((job for job in line if job not in served), line[0] if line else None)
