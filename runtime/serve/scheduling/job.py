"""`Job`: an admitted request, from its tokens to its last result."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

from onnxrank.serve.errors import NoScore
from onnxrank.serve.model.work import Model, Result, Unit, Work
from onnxrank.serve.requests import Priority, Timing, Window


class Job:
    """What a request waits for, and what it got.

    pending: units that no round has taken yet, in order. queued: their cost, in tokens. deficit: tokens that it may
    still take in its turn; negative if it took more. done: set when no result is missing, or with the error that ends
    the request.
    """

    def __init__(
        self, model: Model, work: Work, *, priority: Priority = "normal", partial: bool = False, deadline: float | None
    ) -> None:
        """priority, partial, deadline: see `ScoreRequest`."""
        self.model = model
        self.priority = priority
        self.pending: deque[Unit[Any]] = deque(work.units)
        self.queued = sum(unit.cost for unit in work.units)
        self.deficit = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.results: list[Result | None] = [None] * work.items
        self.windows: dict[int, Window] = {}
        self.errors = work.errors
        self.tokens = work.tokens
        self.truncated = tuple(work.truncated)
        self._tokenized = time.monotonic()
        self._started: float | None = None
        self._partial = partial
        self._place = work.place
        self._deadline = deadline
        self._missing: dict[bytes, list[tuple[int, Window | None]]] = defaultdict(list)
        for unit in work.units:
            self._missing[unit.key].append((unit.item, unit.window))
        self._end_if_complete()

    @property
    def missing(self) -> tuple[bytes, ...]:
        """The keys of the results that are missing."""
        return tuple(self._missing)

    @property
    def over(self) -> bool:
        """Whether no more rounds should work for it."""
        return self.done.done() or (self._deadline is not None and time.monotonic() >= self._deadline)

    def begin(self, now: float) -> None:
        """Note that a round has units of this job."""
        if self._started is None:
            self._started = now

    def timing(self, began: float) -> Timing:
        """Return where the time went since `began`."""
        now = time.monotonic()
        # What a cache or another job's round gave needs no round.
        started = now if self._started is None else self._started
        return Timing(
            tokenization=self._tokenized - began,
            queue=started - self._tokenized,
            inference=now - started,
            total=now - began,
        )

    def misses(self, key: bytes) -> bool:
        return key in self._missing

    def take(self) -> Unit[Any]:
        """Remove and return the next pending unit."""
        unit = self.pending.popleft()
        self.queued -= unit.cost
        return unit

    def settle(self, known: Callable[[bytes], Result | None]) -> int:
        """Receive what is known already; return how many results that is."""
        found = [(key, result) for key in self.missing if (result := known(key)) is not None]
        for key, result in found:
            self.receive(key, result)
        if found:
            self.pending = deque(unit for unit in self.pending if self.misses(unit.key))
            self.queued = sum(unit.cost for unit in self.pending)
        return len(found)

    def receive(self, key: bytes, result: Result | BaseException) -> None:
        """Take the result of a unit, or why it has none."""
        for item, window in self._missing.pop(key, ()):
            if isinstance(result, BaseException):
                self._fail(item, "the model failed on it; the server's log says why", result)
            elif np.isnan(result).any():
                self._fail(item, "the model gave no number for it", None)
            else:
                self._keep(item, window, result)
        self._end_if_complete()

    def _keep(self, item: int, window: Window | None, result: Result) -> None:
        best = self.results[item]
        if best is not None and not result > best:
            return
        self.results[item] = result
        if window:
            self.windows[item] = window

    def _fail(self, item: int, problem: str, cause: BaseException | None) -> None:
        message = f"{self._place}[{item}] has no score: {problem}."
        self.errors[item] = message
        if not self._partial and not self.done.done():
            error = NoScore(message)
            error.__cause__ = cause
            self.done.set_exception(error)

    def _end_if_complete(self) -> None:
        if not self._missing and not self.done.done():
            self.done.set_result(None)
