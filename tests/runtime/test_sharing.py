"""One `Reranker` in several threads and processes: the same scores, no more threads than cores, no deadlock."""

import multiprocessing
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxrank import Reranker
from onnxrank.artifact.opening import open_artifact
from onnxrank.engine.cores import Cores
from onnxrank.engine.device import Device
from onnxrank.engine.pair_scorer import PairScorer
from onnxrank.engine.prefix import CACHED_TOKENS, PrefixCache
from onnxrank.engine.session import Runner
from onnxrank.errors import OutputError
from onnxrank.text.prompt import PromptEncoder

PAIRS = [("sort an array", f"document {i} " * i) for i in range(1, 12)]
FORK = pytest.mark.skipif(sys.platform != "linux", reason="fork is tested on Linux only")
SECONDS = 60


@pytest.fixture(scope="module")
def reranker(demo_artifact: Path) -> Reranker:
    return Reranker(demo_artifact, variant="fp32", threads=2)


def test_threads_get_the_same_scores(reranker: Reranker) -> None:
    expected = reranker.predict(PAIRS)
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(reranker.predict, [PAIRS] * 8):
            np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_a_pickled_live_reranker_opens_anew(reranker: Reranker) -> None:
    expected = reranker.predict(PAIRS)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reranker)).predict(PAIRS), expected)


@FORK
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_children_of_a_busy_process_score(reranker: Reranker) -> None:
    """Forked while threads of the parent hold its locks and run its sessions."""
    expected = reranker.predict(PAIRS)
    with busy(reranker):
        for _ in range(4):
            assert forked(lambda: bool(np.abs(reranker.predict(PAIRS) - expected).max() < 1e-5))


@FORK
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_locks_that_are_held_at_the_fork_are_free_in_the_child(reranker: Reranker) -> None:
    expected = reranker.predict(PAIRS)
    graph: Any = reranker._scorer._graph
    session = graph._session
    with graph._prefixes._lock, session._all_cores._lock, session._one_core._lock, session._all_cores._cores.lent(2):
        assert forked(lambda: bool(np.abs(reranker.predict(PAIRS) - expected).max() < 1e-5))


@FORK
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_lock_of_stored_keys_and_values_is_free_in_the_child(demo_artifact: Path) -> None:
    reranker = Reranker(demo_artifact, variant="int8", threads=2)
    expected = reranker.predict(PAIRS)
    graph: Any = reranker._scorer._graph
    with graph._prefixes._fixed.lock:
        assert forked(lambda: bool(np.abs(reranker.predict(PAIRS) - expected).max() < 1e-3))


@FORK
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_threads_of_a_child_share_one_session(reranker: Reranker) -> None:
    expected = reranker.predict(PAIRS)

    def score() -> bool:
        with ThreadPoolExecutor(4) as pool:
            return all(np.abs(scores - expected).max() < 1e-5 for scores in pool.map(reranker.predict, [PAIRS] * 4))

    assert forked(score)


@FORK
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_pool_of_forked_workers_scores(reranker: Reranker) -> None:
    expected = reranker.predict(PAIRS)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        found = pool.apply_async(reranker.predict, (PAIRS,)).get(timeout=SECONDS)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_many_callers_compute_on_no_more_threads_than_cores(
    demo_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reranker = Reranker(demo_artifact, variant="fp32", threads=2)
    running, most = 0, 0
    lock = threading.Lock()

    class Watched:
        """An ONNX Runtime session that counts the cores of the runs inside it."""

        def __init__(self, session: Any, cores: int) -> None:
            self._session, self._cores = session, cores

        def run(self, *arguments: Any) -> Any:
            nonlocal running, most
            with lock:
                running += self._cores
                most = max(most, running)
            try:
                time.sleep(0.002)
                return self._session.run(*arguments)
            finally:
                with lock:
                    running -= self._cores

    live = Runner._live
    monkeypatch.setattr(Runner, "_live", lambda self: Watched(live(self), 1 if self._lanes > 1 else 2))
    before = lanes()
    lone = [PAIRS[-1:]] * 4
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(reranker.predict, [PAIRS, PAIRS, *lone, PAIRS, PAIRS]))
    assert most == 2
    assert len(lanes() - before) == 2


def lanes() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("onnxrank")}


def test_a_run_on_all_cores_gets_its_turn() -> None:
    cores = Cores(2)
    order: list[str] = []
    with cores.lent(1):
        whole = threading.Thread(target=lend, args=(cores, 2, order, "all"))
        whole.start()
        deadline = time.monotonic() + 5
        while not cores._first.locked() and time.monotonic() < deadline:
            time.sleep(0.001)
        late = threading.Thread(target=lend, args=(cores, 1, order, "one"))
        late.start()
        time.sleep(0.02)
        assert order == []  # a later caller does not get the free core
    whole.join()
    late.join()
    assert order == ["all", "one"]


def lend(cores: Cores, count: int, order: list[str], name: str) -> None:
    with cores.lent(count):
        order.append(name)


def test_callers_of_one_prefix_compute_it_once(demo_artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reranker = Reranker(demo_artifact, variant="fp32")
    computed: list[tuple[int, ...]] = []
    extend = PrefixCache._extend

    def counted(self: PrefixCache, past: Any, token_ids: tuple[int, ...], runner: Any) -> Any:
        computed.append(token_ids)
        time.sleep(0.02)
        return extend(self, past, token_ids, runner)

    monkeypatch.setattr(PrefixCache, "_extend", counted)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(reranker.predict, [PAIRS] * 4))
    assert len(computed) == len(set(computed)) == 2  # the instruction, and the query after it


def test_a_long_query_leaves_the_cached_instruction(demo_artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reranker = Reranker(demo_artifact, variant="fp32")
    reranker.predict(PAIRS)
    computed: list[int] = []
    extend = PrefixCache._extend

    def counted(self: PrefixCache, past: Any, token_ids: tuple[int, ...], runner: Any) -> Any:
        computed.append(len(token_ids))
        return extend(self, past, token_ids, runner)

    monkeypatch.setattr(PrefixCache, "_extend", counted)
    long = "word " * CACHED_TOKENS
    for _ in range(2):
        reranker.predict([(long, "a"), (long, "b")])
    assert len(computed) == 2 and min(computed) > CACHED_TOKENS


@pytest.mark.parametrize("memory", ["normal", "low"])
def test_low_memory_makes_one_session(demo_artifact: Path, monkeypatch: pytest.MonkeyPatch, memory: Any) -> None:
    made: list[int | None] = []
    from onnxrank.engine import session

    make = session._make_session

    def counted(graph: Any, device: Any, threads: int | None) -> Any:
        made.append(threads)
        return make(graph, device, threads)

    monkeypatch.setattr(session, "_make_session", counted)
    reranker = Reranker(demo_artifact, variant="q4", threads=2, memory=memory)
    reranker.score(PAIRS)
    assert len(list(filter(None, made))) == 1  # the prefix of a list does not load the weights a second time
    listed, alone = reranker.score(PAIRS).logits, reranker.score(PAIRS[-1:]).logits
    assert sorted(filter(None, made)) == ([2] if memory == "low" else [1, 2])
    assert listed[-1] == pytest.approx(alone[0], abs=0.05)


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", tmp_path)
    return tmp_path


@pytest.mark.parametrize("variant", ["fp32", "int8", "q4"])
def test_shared_memory_maps_prepacked_weights_and_scores_the_same(
    demo_artifact: Path, assets: Path, variant: str
) -> None:
    expected = Reranker(demo_artifact, variant=variant, threads=2).score(PAIRS).logits
    for _ in range(2):
        reranker = Reranker(demo_artifact, variant=variant, threads=2, memory="shared")
        np.testing.assert_array_equal(reranker.score(PAIRS).logits, expected)
        reranker.score(PAIRS[:1])
        (data,) = assets.rglob("model.onnx_data")
        mapped = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(data) in line]
        assert mapped and all("rw" not in line.split()[1] or "p" in line.split()[1] for line in mapped)
    assert not list(assets.rglob("*-*"))  # what was written on the way


def test_prepacked_weights_are_those_of_the_artifact(demo_artifact: Path, assets: Path) -> None:
    for variant in ("int8", "q4"):
        Reranker(demo_artifact, variant=variant, memory="shared").score(PAIRS)
    assert len(list(assets.rglob("model.onnx"))) == 2


def test_a_cache_that_cannot_be_written_is_named(demo_artifact: Path, assets: Path) -> None:
    (assets / "onnxrank").write_text("a file")
    with pytest.raises(OutputError, match=r"cache of prepacked weights cannot be written .*set HF_HOME"):
        Reranker(demo_artifact, variant="int8", memory="shared").score(PAIRS)


@pytest.mark.parametrize("graph", ["prefix", "padded"])
def test_packs_may_run_one_by_one_in_any_order(demo_artifact: Path, graph: Any) -> None:
    artifact = open_artifact(demo_artifact)
    scoring = artifact.manifest.scoring
    assert scoring.prompt
    encoder = PromptEncoder(artifact.tokenizer, scoring.prompt, scoring.max_length)
    queries = [("sort an array", 9), ("the shortest path", 1), ("a determinant", 4)]
    pairs = [
        pair
        for query, count in queries
        for pair in encoder.pairs(query, [f"text {i} " * i for i in range(count)], None, special_tokens=False)
    ]
    scorer = PairScorer(artifact, artifact.variant("fp32")[1], device=Device(threads=2), graph=graph)
    packs = scorer.plan(pairs, pack_tokens=100)
    assert sorted(row for pack in packs for row in pack.rows) == list(range(len(pairs)))
    expected = scorer.score(pairs)
    assert expected.dtype == np.float32
    for pack in reversed(packs):
        assert pack.tokens == len(pack.rows) * max(map(len, pack.sequences))
        assert pack.tokens <= 100 or len(pack.rows) == 1
        np.testing.assert_allclose(scorer.run(pack), expected[list(pack.rows)], atol=1e-5)


@contextmanager
def busy(reranker: Reranker) -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            reranker.predict(PAIRS)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def forked(check: Callable[[], bool]) -> bool:
    """Whether a check holds in a forked child, which ends within a minute."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if check() else 1)
        finally:
            os._exit(2)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False
