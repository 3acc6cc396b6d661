import tracemalloc

import numpy as np

from onnxrank.serve.scheduling.score_cache import ScoreCache


def test_what_was_not_used_for_the_longest_time_is_forgotten() -> None:
    cache = ScoreCache(700)
    for name in (b"a", b"b", b"c"):
        cache.put(name, np.float32(1))
    assert cache.get(b"a") == 1
    cache.put(b"d", np.float32(2))
    assert [cache.get(name) is not None for name in (b"a", b"b", b"c", b"d")] == [True, False, True, True]


def test_memory_is_bounded() -> None:
    most = 1_000_000
    # A row of a batch must not keep the batch.
    for batch in (np.ones(300, np.float32), np.ones((300, 64), np.float32)):
        tracemalloc.start()
        cache = ScoreCache(most)
        for i in range(20_000):
            cache.put(i.to_bytes(16, "little"), batch[i % 300])
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert cache.bytes <= most
        assert most / 2 < used < 1.1 * most


def test_no_numbers_are_not_remembered() -> None:
    cache = ScoreCache(1000)
    for value in (np.nan, np.inf):
        cache.put(b"a", np.float32(value))
    assert cache.get(b"a") is None


def test_without_bytes_nothing_is_remembered() -> None:
    cache = ScoreCache(0)
    cache.put(b"a", np.float32(1))
    assert cache.get(b"a") is None and cache.bytes == 0
