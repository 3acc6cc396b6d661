"""uvicorn's HTTP protocol with a limit of time for a request's head, which uvicorn lacks."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 30.0


class PatientProtocol(H11Protocol):
    """Closes a connection that sends neither a whole head nor, after an early answer, the end of its body in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in its base
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(SECONDS, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
