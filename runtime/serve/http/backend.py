"""What HTTP needs of the scheduler."""

from typing import Literal, Protocol

from onnxrank.serve.requests import EmbedOutcome, EmbedRequest, ScoreOutcome, ScoreRequest
from onnxrank.serve.scheduling.observer import Observer
from onnxrank.serve.scheduling.state import State

Kind = Literal["reranker", "late-interaction", "embedder"]


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


class Backend(Protocol):
    """observe: told of what it does."""

    observe: Observer

    @property
    def state(self) -> State: ...
    async def start(self) -> None: ...
    async def drain(self, seconds: float) -> None: ...
    async def score(self, model: str, request: ScoreRequest) -> ScoreOutcome: ...
    async def embed(self, model: str, request: EmbedRequest) -> EmbedOutcome: ...
