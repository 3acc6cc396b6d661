"""Decides which requests are let in, so that the queue's memory, and the time that it stands for, stay bounded."""

import sys
from collections.abc import Callable, Sequence

from onnxrank.errors import InputError
from onnxrank.serve.errors import Overloaded
from onnxrank.serve.scheduling.limits import Limits

# Even a queue that empties at once is not asked again sooner.
SOONEST = 0.1


class Admission:
    """Counts the bytes of texts that are inside, from tokenization to the answer."""

    def __init__(self, limits: Limits, wait: Callable[[int], float]) -> None:
        """wait: how many seconds a number of tokens will take."""
        self._limits = limits
        self._wait = wait
        self._bytes = 0

    def enter(self, texts: Sequence[str], items: int, queued: int) -> int:
        """Let texts in and return their bytes, for `leave`. queued: tokens that wait.

        Raises InputError for a request that is too large by itself, Overloaded if there is no room now.
        """
        limits = self._limits
        if items > limits.max_documents:
            raise InputError(
                f"the request has {items} documents, and {limits.max_documents} are allowed; send fewer at a time."
            )
        size = sum(map(sys.getsizeof, {id(text): text for text in texts}.values()))
        _check_size(size, limits.max_queue_bytes, "bytes of text")
        excess = self._bytes + size - limits.max_queue_bytes
        if excess > 0:
            # What has to leave first, as if all texts had equally many tokens per byte.
            raise Overloaded(max(SOONEST, self._wait(queued * excess // self._bytes)))
        self._bytes += size
        return size

    def check(self, tokens: int, queued: int) -> None:
        """Raise InputError or Overloaded as `enter` does, for a request's tokens."""
        most = self._limits.max_queue_tokens
        _check_size(tokens, most, "tokens")
        if queued + tokens > most:
            raise Overloaded(max(SOONEST, self._wait(queued + tokens - most)))

    def leave(self, size: int) -> None:
        self._bytes -= size


def _check_size(size: int, most: int, unit: str) -> None:
    if size > most:
        raise InputError(f"the request has {size} {unit}, and the server's queue holds {most}; send it in parts.")
