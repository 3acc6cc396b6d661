"""`State`: what health checks and metrics read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """ready: whether requests are taken; reason: why not. queued_tokens: to compute, that no round has taken yet.
    queued_requests: those with such tokens. running_requests: those for which a round runs now. tokens_per_second: of
    the model that ran last, measured; 0 before the first run.
    """

    ready: bool
    reason: str | None
    queued_tokens: int
    queued_requests: int
    running_requests: int
    tokens_per_second: float
