"""`Scheduler`: shares the processor between requests. Its state belongs to the event loop's thread; tokenization and
scoring have threads of their own."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from onnxrank.errors import InputError, RerankError
from onnxrank.serve.errors import DeadlineExceeded, Unavailable
from onnxrank.serve.model.work import Model, Result, Work, read_slice
from onnxrank.serve.requests import EmbedOutcome, EmbedRequest, ScoreOutcome, ScoreRequest, Timing
from onnxrank.serve.scheduling.admission import Admission
from onnxrank.serve.scheduling.job import Job
from onnxrank.serve.scheduling.limits import Limits
from onnxrank.serve.scheduling.observer import Observer
from onnxrank.serve.scheduling.queue import Queue, Round
from onnxrank.serve.scheduling.running import measured_start, run_each
from onnxrank.serve.scheduling.score_cache import ScoreCache
from onnxrank.serve.scheduling.speed import Speed
from onnxrank.serve.scheduling.state import State

# What one round takes, by the measured speed: as long as a new request may have to wait. Longer ones gain no speed.
ROUND_SECONDS = 0.05
# Rounds that run at the same time: the second one's batches fill the cores that the first leaves idle at its end.
ROUNDS = 2
# Threads that tokenize: with a second one, a single large text does not hold up the others.
TOKENIZERS = 2
# A round is late if it takes this many times as long as predicted, and `Limits.stuck_seconds` besides.
LATE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """A round that runs, since when, and until when it should be done."""

    round: Round
    started: float
    late: float


class Scheduler:
    """Scores and embeds with several models for any number of callers; see `Queue` for who comes first."""

    def __init__(self, models: Mapping[str, Model], limits: Limits, observe: Observer | None = None) -> None:
        self.models = models
        self.observe = observe or Observer()
        self._limits = limits
        self._queue = Queue(self._budget)
        self._admission = Admission(limits, lambda tokens: self._latest.seconds(tokens))
        self._cache = ScoreCache(limits.cache_bytes)
        self._speeds: dict[Model, Speed] = {model: Speed() for model in models.values()}
        self._latest = Speed()
        self._tokenizing = ThreadPoolExecutor(TOKENIZERS, thread_name_prefix="onnxrank-tokenize")
        self._scoring = ThreadPoolExecutor(ROUNDS, thread_name_prefix="onnxrank-score")
        # Replaced, never changed, because other threads read it.
        self._running: tuple[_Running, ...] = ()
        self._landed = 0.0
        self._closed: str | None = "the models are loading."
        self._open: set[asyncio.Timeout] = set()
        self._empty = asyncio.Event()

    async def start(self) -> None:
        """Load the models, check that they score as they did at their export, and measure their speed; then requests
        are taken. Raises ArtifactError if one does not."""
        loop = asyncio.get_running_loop()
        for model, speed in self._speeds.items():
            try:
                speed.add(*await loop.run_in_executor(self._scoring, measured_start, model))
            except RerankError as error:
                self._closed = str(error)
                raise
            self._latest = speed
        self._closed = None

    @property
    def state(self) -> State:
        """What goes on; any thread may ask."""
        reason = self._closed or self._stuck()
        running = self._running
        return State(
            ready=reason is None,
            reason=reason,
            queued_tokens=self._queue.tokens,
            queued_requests=self._queue.jobs,
            running_requests=len(_served(running)),
            tokens_per_second=self._latest.tokens_per_second,
        )

    async def score(self, model: str, request: ScoreRequest) -> ScoreOutcome:
        """Score pairs. Cancelling the call drops what has not run.

        Raises InputError, Overloaded, Unavailable, DeadlineExceeded or NoScore.
        """
        served = self._model(model)
        job, timing = await self._answer(served, request, [text for pair in request.pairs for text in pair])
        found = [np.nan if item in job.errors else result for item, result in enumerate(job.results)]
        logits = np.array(found, np.float32)
        scores, known = logits.copy(), ~np.isnan(logits)
        scores[known] = served.activate(logits[known])
        return ScoreOutcome(
            logits=logits,
            scores=scores,
            tokens=job.tokens,
            truncated=job.truncated,
            # In the documents' order, whichever round gave the last result.
            windows={item: job.windows[item] for item in sorted(job.windows) if item not in job.errors},
            errors=job.errors,
            timing=timing,
        )

    async def embed(self, model: str, request: EmbedRequest) -> EmbedOutcome:
        """Embed texts; the rest is as for `score`."""
        job, timing = await self._answer(self._model(model), request, request.texts)
        vectors = np.array(job.results, np.float32) if job.results else np.empty((0, 0), np.float32)
        return EmbedOutcome(vectors=vectors, tokens=job.tokens, truncated=job.truncated, timing=timing)

    async def drain(self, seconds: float) -> None:
        """Take no more requests, finish those that were admitted, for at most `seconds`; end the others with
        Unavailable, and free the models."""
        self._closed = "the server is shutting down."
        if self._open:
            self._empty.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._empty.wait()
            except TimeoutError:
                for limit in self._open:
                    if not limit.expired():
                        limit.reschedule(asyncio.get_running_loop().time())
                await self._empty.wait()
        for threads in (self._tokenizing, self._scoring):
            threads.shutdown(wait=False)
        # A model with a round that runs would have to be waited for.
        if not self._running:
            for model in self.models.values():
                model.close()

    async def _answer(
        self, model: Model, request: ScoreRequest | EmbedRequest, texts: Sequence[str]
    ) -> tuple[Job, Timing]:
        """Return the job of a request when it is done, and how long it took."""
        began = time.monotonic()
        if reason := self._closed or self._stuck():
            raise Unavailable(reason)
        size = self._admission.enter(texts, _items(request), self._queue.tokens)
        limit = asyncio.timeout(None if request.deadline is None else max(0.0, request.deadline - began))
        job: Job | None = None
        try:
            async with limit:
                self._open.add(limit)
                work = await self._read(model, request)
                partial_ = isinstance(request, ScoreRequest) and request.partial
                job = Job(model, work, priority=request.priority, partial=partial_, deadline=request.deadline)
                self._admit(job)
                await job.done
        except TimeoutError as error:
            if not limit.expired():
                raise
            if self._closed:
                raise Unavailable(self._closed) from error
            raise DeadlineExceeded(f"the answer was not there after {time.monotonic() - began:.1f} seconds.") from error
        finally:
            self._open.discard(limit)
            if not self._open:
                self._empty.set()
            self._admission.leave(size)
            if job:
                self._queue.remove(job)
        return job, job.timing(began)

    async def _read(self, model: Model, request: ScoreRequest | EmbedRequest) -> Work:
        """Tokenize a request slice by slice, so that others get in between."""
        reading = model.read_texts(request) if isinstance(request, EmbedRequest) else model.read_scores(request)
        loop = asyncio.get_running_loop()
        while (work := await loop.run_in_executor(self._tokenizing, read_slice, reading)) is None:
            pass
        return work

    def _admit(self, job: Job) -> None:
        """Put a job in line, without what the cache knows."""
        rows = len(job.missing)
        cached = job.settle(self._cache.get)
        self.observe.results_shared(job.model.name, cached, rows)
        self._admission.check(job.queued, self._queue.tokens)
        self._queue.add(job)
        self._run_rounds()

    def _run_rounds(self) -> None:
        """Start as many rounds as may run."""
        while len(self._running) < ROUNDS and (taken := self._queue.take(_served(self._running))):
            now = time.monotonic()
            # The other round may take its time, too.
            predicted = ROUNDS * self._speeds[taken.model].seconds(taken.tokens)
            running = _Running(round=taken, started=now, late=now + LATE * predicted + self._limits.stuck_seconds)
            self._running += (running,)
            for job in taken.jobs:
                job.begin(now)
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._scoring, run_each, taken.model, taken.units)
            future.add_done_callback(partial(self._land, running))

    def _land(self, running: _Running, future: "asyncio.Future[list[Result | Exception]]") -> None:
        """Give the results of a round to those who wait for them, and start the next."""
        now = time.monotonic()
        taken = running.round
        self._running = tuple(other for other in self._running if other is not running)
        error = future.exception()
        results = [error] * len(taken.units) if error else future.result()
        self._latest = self._speeds[taken.model]
        # The time in which the other round ran alone is that one's.
        self._latest.add(taken.tokens, now - max(running.started, self._landed))
        self._landed = now
        for unit, result in zip(taken.units, results, strict=True):
            if not isinstance(result, BaseException):
                self._cache.put(unit.key, result)
            self._queue.deliver(unit.key, result)
        self._run_rounds()
        self.observe.round_ended(taken.model.name, len(taken.units), taken.tokens, now - running.started)

    def _stuck(self) -> str | None:
        now = time.monotonic()
        return next(
            (
                f"the model has not answered for {now - running.started:.0f} seconds."
                for running in self._running
                if now > running.late
            ),
            None,
        )

    def _budget(self, model: Model) -> int:
        return max(model.round_tokens, int(ROUND_SECONDS * self._speeds[model].tokens_per_second))

    def _model(self, name: str) -> Model:
        if name not in self.models:
            raise InputError(f"model is {name!r:.60}, and this server has {', '.join(self.models)}; give one of these.")
        return self.models[name]


def _served(running: Sequence[_Running]) -> frozenset[Job]:
    """Return the jobs of rounds that run."""
    return frozenset().union(*(one.round.jobs for one in running))


def _items(request: ScoreRequest | EmbedRequest) -> int:
    return len(request.texts if isinstance(request, EmbedRequest) else request.pairs)
