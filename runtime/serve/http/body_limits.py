"""Bounds what a client may send, and how slowly, while it sends it."""

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onnxrank.serve.http.failures import failure

# Bytes of all bodies that may be in memory together, or one of the largest size.
_TOGETHER = 256 << 20


class BodyLimits:
    """Middleware: 413 for a body of more than `largest` bytes, 408 for one that takes more than `seconds`, and 429
    while the bodies of other requests fill the memory meant for them."""

    def __init__(self, app: ASGIApp, largest: int, seconds: float) -> None:
        self._app = app
        self._largest = largest
        self._seconds = seconds
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._largest:
            return await failure(413, self._too_large())(scope, receive, send)
        held, complete = 0, False
        deadline = asyncio.get_running_loop().time() + self._seconds

        async def bounded_receive() -> Message:
            nonlocal held, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body was not complete after {self._seconds:g} seconds.") from None
            size = len(message.get("body", b""))
            held, self._held = held + size, self._held + size
            if held > self._largest:
                raise HTTPException(413, self._too_large())
            if self._held > max(self._largest, _TOGETHER):
                raise HTTPException(429, "other requests' bodies fill the memory; try again.", {"Retry-After": "1"})
            complete = not message.get("more_body", False)
            return message

        try:
            await self._app(scope, bounded_receive, send)
        finally:
            self._held -= held

    def _too_large(self) -> str:
        return (
            f"the body has more than {self._largest} bytes; send fewer documents in a request, or start the server "
            "with a larger --max-body."
        )
