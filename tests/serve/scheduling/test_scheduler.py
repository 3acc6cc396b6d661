"""Who is served when, on a model that runs only when a test lets it."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from onnxrank.errors import ArtifactError, InputError
from onnxrank.serve.errors import DeadlineExceeded, NoScore, Overloaded, Unavailable
from onnxrank.serve.requests import EmbedRequest, Priority, ScoreOutcome, ScoreRequest
from onnxrank.serve.scheduling import scheduler
from onnxrank.serve.scheduling.limits import Limits
from onnxrank.serve.scheduling.observer import Observer
from onnxrank.serve.scheduling.scheduler import ROUNDS, TOKENIZERS, Scheduler
from tests.serve.scheduling.fake_model import SECONDS, FakeModel


@pytest.fixture(autouse=True)
def rounds_of_equal_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round is worth what the model says, however fast it was measured."""
    monkeypatch.setattr(scheduler, "ROUND_SECONDS", 0.0)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine, for a bounded time."""
    asyncio.run(asyncio.wait_for(test, SECONDS))


@asynccontextmanager
async def serving(model: FakeModel, observer: Observer | None = None, **limits: Any) -> AsyncIterator[Scheduler]:
    """Start a scheduler, and let it finish at the end."""
    served = Scheduler({"fake": model}, Limits(**limits), observer)
    await served.start()
    model.forget()
    try:
        yield served
    finally:
        model.let_go()
        await served.drain(SECONDS)


def request(*documents: str, query: str = "q", **options: Any) -> ScoreRequest:
    return ScoreRequest(pairs=tuple((query, document) for document in documents), **options)


async def begun(model: FakeModel) -> list[str]:
    """Wait for the next round to begin, without stopping the event loop."""
    return await asyncio.to_thread(model.begun)


async def busy(served: Scheduler, model: FakeModel) -> "asyncio.Task[ScoreOutcome]":
    """Hold the model, and return a large request whose rounds are all that run."""
    model.hold()
    large = asyncio.create_task(served.score("fake", request(*(f"{i}" + "x" * 97 for i in range(1000)))))
    for _ in range(ROUNDS):
        await begun(model)
    return large


async def settled() -> None:
    """Let the event loop do what it can do now."""
    for _ in range(20):
        await asyncio.sleep(0)


def scores(outcome: ScoreOutcome) -> list[float]:
    return [float(logit) for logit in outcome.logits]


def test_scores_come_in_the_order_of_the_documents() -> None:
    async def test() -> None:
        async with serving(FakeModel()) as served:
            outcome = await served.score("fake", request("x" * 5, "", "x" * 200, "x"))
            assert scores(outcome) == [5, 0, 200, 1]
            np.testing.assert_allclose(outcome.scores, [0.5, 0, 20, 0.1])
            assert (outcome.tokens, outcome.truncated, outcome.errors) == (206, (), {})
            timing = outcome.timing
            parts = timing.tokenization, timing.queue, timing.inference
            assert min(parts) >= 0 and sum(parts) == pytest.approx(timing.total)
            assert len((await served.score("fake", request())).logits) == 0
            assert (await served.embed("fake", EmbedRequest(texts=("x", "xx")))).vectors.tolist() == [1, 2]
            with pytest.raises(InputError, match="model is 'other', and this server has fake"):
                await served.score("other", request("x"))

    run(test())


@pytest.mark.parametrize("big", [1, 3])
def test_a_small_request_waits_for_two_rounds(big: int) -> None:
    """Beside one of 10,000 documents; beside three, for their turns."""

    async def test() -> None:
        model = FakeModel(round_tokens=100)
        async with serving(model) as served:
            model.hold()
            large = [
                asyncio.create_task(served.score("fake", request(*(f"{i} {n}" + "x" * 20 for i in range(10_000)))))
                for n in range(big)
            ]
            for _ in range(ROUNDS):
                assert "s" not in await begun(model)
            small = asyncio.create_task(served.score("fake", request(*("s" * n for n in range(1, 9)))))
            while served.state.queued_requests <= big:
                await asyncio.sleep(0.001)
            waited = 0
            while True:
                model.release()
                waited += 1
                if "s" in await begun(model):
                    break
            assert waited <= 1 + big
            model.release(ROUNDS)
            assert scores(await small) == list(range(1, 9))
            assert not any(task.done() for task in large)
            for task in large:
                task.cancel()

    run(test())


def test_requests_share_by_tokens_and_not_by_documents() -> None:
    async def test() -> None:
        model = FakeModel(round_tokens=100)
        async with serving(model) as served:
            model.hold()
            tasks = [
                asyncio.create_task(served.score("fake", request(*(f"{letter}{i:09}" * size for i in range(count)))))
                for letter, size, count in (("a", 1, 1000), ("b", 50, 20))
            ]
            while served.state.queued_requests < 2:
                await asyncio.sleep(0.001)
            got = {"a": 0, "b": 0}
            for _ in range(ROUNDS):
                await begun(model)  # before both had come
            for _ in range(80):
                model.release()
                for document in await begun(model):
                    got[document[0]] += len(document)
            # No more than a document of `b` apart.
            assert abs(got["a"] - got["b"]) <= 500 + 2 * 100
            for task in tasks:
                task.cancel()

    run(test())


def test_a_turn_is_a_document_for_each_core() -> None:
    async def test() -> None:
        model = FakeModel(round_tokens=10, cores=3)
        async with serving(model) as served:
            await served.score("fake", request(*(f"{i}" + "x" * 50 for i in range(9))))
            assert [len(documents) for documents in model.rounds] == [3, 3, 3]

    run(test())


def test_high_priority_goes_first_and_low_is_not_starved() -> None:
    async def test() -> None:
        model = FakeModel(round_tokens=10)
        async with serving(model) as served:
            model.hold()
            classes: tuple[Priority, ...] = ("low", "normal", "high")
            tasks = [
                asyncio.create_task(
                    served.score("fake", request(*(f"{name} {i:03}" + "x" * 20 for i in range(100)), priority=name))
                )
                for name in classes
            ]
            while served.state.queued_requests < 3:
                await asyncio.sleep(0.001)
            for _ in range(ROUNDS):
                await begun(model)  # before all had come
            order = []
            for _ in range(32):
                model.release()
                order += [document.split()[0] for document in await begun(model)]
            assert {name: order.count(name) for name in classes} == {"high": 24, "normal": 4, "low": 4}
            for task in tasks:
                task.cancel()

    run(test())


def test_equal_pairs_are_computed_once() -> None:
    async def test() -> None:
        model = FakeModel()
        async with serving(model) as served:
            model.hold()
            first = asyncio.create_task(served.score("fake", request("x", "xx", "x")))
            assert await begun(model) == ["x", "xx"]
            others = [asyncio.create_task(served.score("fake", request("xx", "x"))) for _ in range(3)]
            different = asyncio.create_task(served.score("fake", request("x", query="another")))
            assert await begun(model) == ["x"]
            model.release(2)
            assert scores(await first) == [1, 2, 1]
            assert [scores(await task) for task in others] == [[2, 1]] * 3
            assert scores(await different) == [1]
            # The two rounds ran at the same time.
            assert sorted(model.rounds) == [["x"], ["x", "xx"]]

    run(test())


@pytest.mark.parametrize("running", [True, False])
def test_who_cancels_does_not_take_away_the_score_of_others(running: bool) -> None:
    async def test() -> None:
        model = FakeModel()
        async with serving(model) as served:
            model.hold()
            if not running:
                busy = [asyncio.create_task(served.score("fake", request(c))) for c in "ab"]
                for _ in busy:
                    await begun(model)
            first = asyncio.create_task(served.score("fake", request("x")))
            if running:
                await begun(model)
            second = asyncio.create_task(served.score("fake", request("x", "xx")))
            while len(served._open) < (2 if running else 4):
                await asyncio.sleep(0.001)
            first.cancel()
            model.let_go()
            assert scores(await second) == [1, 2]
            with pytest.raises(asyncio.CancelledError):
                await first

    run(test())


def test_the_next_round_is_of_the_request_that_has_none() -> None:
    async def test() -> None:
        model = FakeModel(round_tokens=100)
        async with serving(model) as served:
            large = await busy(served, model)
            small = asyncio.create_task(served.score("fake", request("y" * 100)))
            while served.state.queued_requests < 2:
                await settled()
            model.release()
            assert await begun(model) == ["y" * 100]
            model.let_go()
            await asyncio.gather(large, small)

    run(test())


def test_work_for_a_client_that_is_gone_stops() -> None:
    async def test() -> None:
        model = FakeModel(round_tokens=100)
        async with serving(model) as served:
            task = await busy(served, model)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            state = served.state
            assert (state.queued_tokens, state.queued_requests) == (0, 0)
            model.let_go()
            assert scores(await served.score("fake", request("y"))) == [1]
            assert await begun(model) == ["y"]
            while served.state.running_requests:
                await settled()
            queue = served._queue
            assert not queue._wanted and not queue._running

    run(test())


def test_a_deadline_ends_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        model = FakeModel(round_tokens=10)
        async with serving(model) as served:
            model.hold()
            late = request(*(f"{i}" + "x" * 10 for i in range(100)), deadline=time.monotonic() + 0.2)
            # A clock that is set back does not matter.
            monkeypatch.setattr(time, "time", lambda: 0.0)
            with pytest.raises(DeadlineExceeded, match=r"after 0\.\d seconds"):
                await served.score("fake", late)
            with pytest.raises(DeadlineExceeded):
                await served.score("fake", request("x", deadline=time.monotonic() - 1))
            model.let_go()
            assert scores(await served.score("fake", request("x", deadline=time.monotonic() + SECONDS))) == [1]
            assert len(model.rounds) <= ROUNDS + 1

    run(test())


def test_a_full_queue_says_when_to_come_back() -> None:
    async def test() -> None:
        model = FakeModel(round_tokens=10)
        async with serving(model, max_queue_tokens=1000, max_queue_bytes=100_000) as served:
            model.hold()
            first = asyncio.create_task(served.score("fake", request("a" * 300, "b" * 200, "c" * 250, "d" * 250)))
            for _ in range(ROUNDS):
                await begun(model)
            assert served.state.queued_tokens == 500
            with pytest.raises(Overloaded) as full:
                await served.score("fake", request("x" * 700))
            # 200 tokens have to be computed first.
            assert full.value.retry_after == pytest.approx(max(0.1, 200 / served.state.tokens_per_second))
            model.let_go()
            await first

    run(test())


def test_bytes_alone_tell_that_a_request_does_not_fit() -> None:
    async def test() -> None:
        model = FakeModel()
        async with serving(model, max_queue_bytes=10_000) as served:
            model.hold()
            first = asyncio.create_task(served.score("fake", request("x" * 6_000)))
            await begun(model)
            read = model.read
            with pytest.raises(Overloaded):
                await served.score("fake", request("y" * 6_000))
            with pytest.raises(InputError, match="bytes of text, and the server's queue holds 10000"):
                await served.score("fake", request("y" * 12_000))
            assert model.read == read
            model.let_go()
            await first
            assert scores(await served.score("fake", request("y" * 6_000))) == [6000]

    run(test())


def test_a_request_that_never_fits_is_refused_for_good() -> None:
    async def test() -> None:
        async with serving(FakeModel(), max_queue_tokens=100, max_documents=3) as served:
            with pytest.raises(InputError, match="the request has 101 tokens, and the server's queue holds 100"):
                await served.score("fake", request("x" * 101))
            with pytest.raises(InputError, match="the request has 4 documents, and 3 are allowed"):
                await served.score("fake", request("a", "b", "c", "d"))

    run(test())


def test_ten_thousand_documents_are_served_by_default() -> None:
    async def test() -> None:
        async with serving(FakeModel(round_tokens=100_000)) as served:
            outcome = await served.score("fake", request(*(f"{i}" + "x" * 95 for i in range(10_000))))
            assert len(outcome.logits) == 10_000

    run(test())


def test_tokens_of_a_small_request_do_not_wait_for_those_of_a_large_one() -> None:
    async def test() -> None:
        model = FakeModel(round_tokens=100_000)
        async with serving(model) as served:
            model.slices.clear()
            large = served.score("fake", request(*(f"{i}" + "x" * 95 for i in range(10_000)), query="large"))
            small = served.score("fake", request("x", query="small"))
            await asyncio.gather(large, small)
            # Of each slice, whose it is; the threads take turns with the two requests.
            assert len(model.slices) > 20 and model.slices.index("small") <= TOKENIZERS

    run(test())


def test_draining_finishes_what_was_admitted() -> None:
    async def test() -> None:
        model = FakeModel(round_tokens=10)
        async with serving(model) as served:
            model.hold()
            task = asyncio.create_task(served.score("fake", request("a" * 20, "b" * 20, "c" * 20)))
            await begun(model)
            draining = asyncio.create_task(served.drain(SECONDS))
            await settled()
            assert served.state.reason == "the server is shutting down." and not served.state.ready
            with pytest.raises(Unavailable, match="shutting down"):
                await served.score("fake", request("x"))
            assert not draining.done()
            model.let_go()
            assert scores(await task) == [20, 20, 20]
            await draining
            assert model.closed

    run(test())


def test_draining_ends_at_its_limit() -> None:
    async def test() -> None:
        model = FakeModel()
        async with serving(model) as served:
            model.hold()
            task = asyncio.create_task(served.score("fake", request("x")))
            await begun(model)
            await served.drain(0.01)
            with pytest.raises(Unavailable, match="shutting down"):
                await task

    run(test())


def test_a_model_that_gives_no_number_is_no_silent_score() -> None:
    async def test() -> None:
        async with serving(FakeModel(), cache_bytes=10_000) as served:
            for _ in range(2):
                with pytest.raises(NoScore, match=r"documents\[1\] has no score: the model gave no number for it"):
                    await served.score("fake", request("x", "nan", "xx"))
            outcome = await served.score("fake", request("x", "nan", "xx", partial=True))
            assert list(outcome.errors) == [1]
            np.testing.assert_array_equal(outcome.logits, [1, np.nan, 2])

    run(test())


def test_a_crash_fails_the_documents_that_caused_it(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        model = FakeModel()
        async with serving(model) as served:
            model.hold()
            busy = [asyncio.create_task(served.score("fake", request(c))) for c in "ab"]
            for _ in busy:
                await begun(model)
            good = asyncio.create_task(served.score("fake", request("xxx", "yyyy")))
            bad = asyncio.create_task(served.score("fake", request("zz", "crash")))
            partial = asyncio.create_task(served.score("fake", request("crash", "v", query="p", partial=True)))
            while served.state.queued_requests < 3:
                await asyncio.sleep(0.001)
            model.let_go()
            assert scores(await good) == [3, 4]
            with pytest.raises(NoScore, match=r"documents\[1\] has no score: the model failed on it") as failed:
                await bad
            assert isinstance(failed.value.__cause__, RuntimeError)
            assert list((await partial).errors) == [0]
            assert scores(await served.score("fake", request("x"))) == [1]

    run(test())
    assert "a kernel failed" in caplog.text


def test_a_stuck_model_is_not_ready() -> None:
    async def test() -> None:
        model = FakeModel()
        async with serving(model, stuck_seconds=0.05) as served:
            assert served.state.ready
            model.hold()
            task = asyncio.create_task(served.score("fake", request("x")))
            await begun(model)
            assert served.state.running_requests == 1
            while served.state.ready:
                await asyncio.sleep(0.01)
            assert "the model has not answered for" in str(served.state.reason)
            with pytest.raises(Unavailable, match="has not answered"):
                await served.score("fake", request("y"))
            model.let_go()
            await task
            assert served.state.ready

    run(test())


def test_a_server_is_ready_after_its_self_check() -> None:
    async def test() -> None:
        served = Scheduler({"fake": FakeModel()}, Limits())
        assert (served.state.ready, served.state.reason) == (False, "the models are loading.")
        with pytest.raises(Unavailable, match="loading"):
            await served.score("fake", request("x"))
        await served.start()
        assert served.state.ready and served.state.tokens_per_second > 0
        await served.drain(0)

        broken = Scheduler({"fake": FakeModel(sound=False)}, Limits())
        with pytest.raises(ArtifactError):
            await broken.start()
        assert "does not score here" in str(broken.state.reason)
        await broken.drain(0)

    run(test())


def test_the_cache_knows_results_of_any_request() -> None:
    async def test() -> None:
        model = FakeModel()
        seen = Observed()
        async with serving(model, seen, cache_bytes=100_000) as served:
            await served.score("fake", request("x", "xx"))
            outcome = await served.score("fake", request("xx", "xxx", "x"))
            assert scores(outcome) == [2, 3, 1] and outcome.tokens == 6
            assert scores(await served.score("fake", request("x"))) == [1]
            assert model.rounds == [["x", "xx"], ["xxx"]]
            await served.score("fake", request("x", query="another"))
            assert len(model.rounds) == 3
            assert seen.shared == [(0, 2), (2, 3), (1, 1), (0, 1)]
            assert seen.rounds == [(2, 3), (1, 3), (1, 1)]

    run(test())


class Observed(Observer):
    def __init__(self) -> None:
        self.rounds: list[tuple[int, int]] = []
        self.shared: list[tuple[int, int]] = []

    def round_ended(self, model: str, rows: int, tokens: int, seconds: float) -> None:
        self.rounds.append((rows, tokens))

    def results_shared(self, model: str, cached: int, rows: int) -> None:
        self.shared.append((cached, rows))
