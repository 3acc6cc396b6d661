"""uvicorn's HTTP protocol with limits of time that uvicorn lacks: for a request's head, and for taking an answer."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 30.0


class PatientProtocol(H11Protocol):
    """Ends a connection whose client sends neither a whole head nor, after an early answer, the rest of its body in
    time, and one that takes nothing of an answer for that long."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in its base
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget_head()
        elif self._head is None:
            self._expect_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_answer(self.transport.get_write_buffer_size())

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._head = self.loop.call_later(SECONDS, self.transport.abort)

    def _forget_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _watch_answer(self, left: int) -> None:
        """Look later whether a client has taken some of the bytes that are left."""
        if left:
            self.loop.call_later(SECONDS, self._check_answer, left)

    def _check_answer(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left and left == before:
            self.transport.abort()
        else:
            self._watch_answer(left)
