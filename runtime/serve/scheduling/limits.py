"""What the scheduler holds at most."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """max_documents: of one request. max_queue_tokens: of all requests that wait, in tokens to compute; the queue holds
    them in 4 bytes each. max_queue_bytes: of the texts of all requests that are not answered yet. A single request that
    is larger than the queue is refused with InputError, because trying again would not help. cache_bytes: of known
    scores; 0 for no cache. stuck_seconds: how much longer than predicted a round may run before the server says that it
    is not ready.
    """

    max_documents: int = 10_000
    max_queue_tokens: int = 4_000_000
    max_queue_bytes: int = 256 << 20
    cache_bytes: int = 0
    stuck_seconds: float = 60.0
