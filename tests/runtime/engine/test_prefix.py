import pickle
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from onnxrank.artifact.manifest import KeyValueCache
from onnxrank.engine.prefix import PrefixCache
from onnxrank.engine.session import Runner

SHAPE = KeyValueCache(layers=1, heads=1, head_dim=2)
# Keys and values of a token, float32.
TOKEN = 2 * 2 * 4


class Counting:
    """A runner that counts the prefixes it computes."""

    def __init__(self) -> None:
        self.runs = 0

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        self.runs += 1
        return [np.zeros((1, 1, feeds["input_ids"].shape[1], 2), np.float32) for _ in outputs]


def test_the_cache_holds_as_many_prefixes_as_its_bytes_allow() -> None:
    runner = Counting()
    for cache in (made := PrefixCache(SHAPE, most_bytes=7 * TOKEN), pickle.loads(pickle.dumps(made))):
        runner.runs = 0
        for prefix in ((1, 2, 3), (4, 5, 6), (1, 2, 3), (7, 8), (4, 5, 6)):
            past = cache.past((prefix,), cast(Runner, runner))
            assert past["past_key_values.0.key"].shape == (1, len(prefix), 2)
        # The second (1, 2, 3) was known; (4, 5, 6) had to leave for (7, 8).
        assert runner.runs == 4
