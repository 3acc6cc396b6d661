"""What HTTP needs of the scheduler."""

from collections.abc import Mapping
from typing import Literal, Protocol

from onnxrank.errors import RerankError
from onnxrank.serve.requests import EmbedOutcome, EmbedRequest, ScoreOutcome, ScoreRequest

Kind = Literal["reranker", "late_interaction", "embedder"]


class Overloaded(RerankError):
    """The queue is full; `retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the queue is full; try again in {retry_after:.0f} seconds.")
        self.retry_after = retry_after


class Unavailable(RerankError):
    """The server is loading, draining or broken."""


class DeadlineExceeded(RerankError):
    """A request was not done in time."""


class Model(Protocol):
    """max_length: tokens of a prompt. identity: a hash of the weights' files."""

    @property
    def kind(self) -> Kind: ...
    @property
    def variant(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def max_length(self) -> int: ...
    @property
    def document_template(self) -> str | None: ...


class State(Protocol):
    """reason: why it is not ready."""

    @property
    def ready(self) -> bool: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def queued_tokens(self) -> int: ...
    @property
    def queued_requests(self) -> int: ...
    @property
    def running_requests(self) -> int: ...
    @property
    def tokens_per_second(self) -> float: ...


class Backend(Protocol):
    @property
    def models(self) -> Mapping[str, Model]: ...
    @property
    def state(self) -> State: ...
    async def start(self) -> None: ...
    async def drain(self, seconds: float) -> None: ...
    async def score(self, model: str, request: ScoreRequest) -> ScoreOutcome: ...
    async def embed(self, model: str, request: EmbedRequest) -> EmbedOutcome: ...
