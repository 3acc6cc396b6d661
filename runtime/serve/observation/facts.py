"""Gives every request an id, and tells logs and metrics what became of it."""

import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onnxrank.serve.requests import Timing

# nginx's status for a request whose client has gone; only logs and metrics read it.
CLIENT_GONE = 499
# What may stand in a header and a log line.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


@dataclass(slots=True, kw_only=True)
class Facts:
    """What is known of a request; its route fills in what it learns. It never holds a text.

    route: the path as the application declares it. seconds: until the answer was written. timing: of what was scored.
    """

    id: str
    method: str
    route: str = "other"
    status: int = CLIENT_GONE
    seconds: float = 0.0
    documents: int = 0
    truncated: int = 0
    tokens: int = 0
    timing: Timing = field(default_factory=Timing)


class Observer(Protocol):
    def __call__(self, facts: Facts) -> None: ...


class Observed:
    """Middleware: puts a request's Facts into its state, and shows them to the observers at its end."""

    def __init__(self, app: ASGIApp, observers: tuple[Observer, ...]) -> None:
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        facts = Facts(id=_request_id(Headers(scope=scope).get("x-request-id")), method=scope["method"])
        scope.setdefault("state", {})["facts"] = facts
        start = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                facts.status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = facts.id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            facts.seconds = time.perf_counter() - start
            facts.route = getattr(scope.get("route"), "path", facts.route)
            for observer in self._observers:
                observer(facts)


def _request_id(given: str | None) -> str:
    """Return the client's id if it is harmless to repeat, else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
