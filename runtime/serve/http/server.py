"""Runs the application: listens at once, loads, and at SIGTERM finishes what was admitted."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from onnxrank.errors import InputError, OutputError
from onnxrank.serve.http.app import make_app
from onnxrank.serve.http.backend import Backend, Model
from onnxrank.serve.http.keys import KeyFile
from onnxrank.serve.http.settings import Settings
from onnxrank.serve.http.slow_clients import PatientProtocol

_BACKLOG = 2048
_KEEP_ALIVE = 75  # seconds; longer than the pools of common clients keep a connection
_LAST_ANSWERS = 5  # seconds for clients to take answers that are ready


def run(models: Mapping[str, Model], scheduler: Backend, settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; SIGHUP reads the API keys again.

    say: told the address once it is listened to. Raises OutputError if it cannot be, InputError for bad keys, and what
    the scheduler's start raises.
    """
    keys = KeyFile(settings.api_keys) if settings.api_keys else None
    listener = listen(settings)
    try:
        say(_address(listener))
        asyncio.run(serve(make_app(models, scheduler, settings, keys), scheduler, settings, keys, listener))
    finally:
        listener.close()
        if settings.uds:
            settings.uds.unlink(missing_ok=True)


async def serve(
    app: ASGIApp, scheduler: Backend, settings: Settings, keys: KeyFile | None, listener: socket.socket
) -> None:
    """Serve in an event loop that runs in the main thread; see `run`."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_LAST_ANSWERS,
    )
    server = _Server(config, scheduler, settings.drain, keys)
    starting = asyncio.create_task(scheduler.start())
    serving = asyncio.create_task(server.serve([listener]))
    await asyncio.wait({starting, serving}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and starting.exception():
        server.should_exit = True
    await serving
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting


class _Server(uvicorn.Server):
    """uvicorn, which drains the scheduler before it closes the port: until then new requests get a 503, and probes see
    that it is not ready."""

    def __init__(self, config: uvicorn.Config, scheduler: Backend, seconds: float, keys: KeyFile | None) -> None:
        super().__init__(config)
        self._scheduler = scheduler
        self._seconds = seconds
        self._keys = keys
        self._draining: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end)
        if self._keys:
            loop.add_signal_handler(signal.SIGHUP, self._keys.reload)
        yield

    def _end(self) -> None:
        """Drain; a second signal ends at once."""
        if self._draining:
            self.force_exit = self.should_exit = True
        else:
            self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            await self._scheduler.drain(self._seconds)
        finally:
            self.should_exit = True


def listen(settings: Settings) -> socket.socket:
    """Return the socket that settings name. Raises OutputError if it is taken."""
    try:
        if settings.uds:
            return _listen_at(settings.uds)
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        place = settings.uds or f"{settings.host} port {settings.port}"
        raise OutputError(f"{place} cannot be listened to ({error.strerror}); choose another.") from error


def _listen_at(path: Path) -> socket.socket:
    """Return a Unix socket that its owner and group may use. A socket that an ended server left there is replaced."""
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as other:
            if other.connect_ex(str(path)) == 0:
                raise InputError(f"{path} belongs to a server that runs; choose another --uds.")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    os.chmod(path, 0o660)
    listener.listen(_BACKLOG)
    return listener


def _address(listener: socket.socket) -> str:
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"http://{host}:{name[1]}"
