"""Over real sockets: signals, disconnects, slow clients, large bodies. The scheduler is the fake one."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from onnxrank.errors import ArtifactError, OutputError
from onnxrank.serve.http import server, slow_clients
from onnxrank.serve.http.app import make_app
from onnxrank.serve.http.keys import KeyFile
from onnxrank.serve.http.settings import Settings
from onnxrank.serve.http.slow_clients import PatientProtocol
from tests.serve.fake import READY, FakeScheduler

BODY = {"query": "sort an array", "documents": ["mean", "sort an array"]}
SHORT = 0.3  # seconds; as short as a busy machine lets a good client be


@contextlib.asynccontextmanager
async def running(scheduler: FakeScheduler, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Run a server in this event loop; the client asks it."""
    chosen = Settings(**{"port": 0, **settings})
    listener = server.listen(chosen)
    keys = KeyFile(chosen.api_keys) if chosen.api_keys else None
    serving = asyncio.create_task(
        server.serve(make_app(scheduler.models, scheduler, chosen, keys), scheduler, chosen, keys, listener)
    )
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=address, timeout=20) as client:
            while True:
                with contextlib.suppress(httpx.ConnectError):
                    await client.get("/health/live")
                    break
            yield client
    finally:
        if not serving.done():
            signal.raise_signal(signal.SIGTERM)
        await serving


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 60))


def head(client: httpx.AsyncClient, length: int) -> bytes:
    return (
        f"POST /rerank HTTP/1.1\r\nHost: {client.base_url.host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def connect(client: httpx.AsyncClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(client.base_url.host, client.base_url.port)


def test_a_client_that_goes_away_ends_the_work() -> None:
    async def scenario() -> None:
        scheduler = FakeScheduler(hold=asyncio.Event())
        async with running(scheduler) as client:
            body = json.dumps(BODY).encode()
            _, writer = await connect(client)
            writer.write(head(client, len(body)) + body)
            await scheduler.entered.wait()
            assert not scheduler.cancelled.is_set()
            writer.close()
            await asyncio.wait_for(scheduler.cancelled.wait(), 10)

    run(scenario)


def test_sigterm_finishes_what_was_admitted_and_refuses_the_rest() -> None:
    async def scenario() -> None:
        draining, finish = asyncio.Event(), asyncio.Event()

        class Draining(FakeScheduler):
            async def drain(self, seconds: float) -> None:
                await FakeScheduler.drain(self, seconds)
                draining.set()
                await finish.wait()

        scheduler = Draining(hold=asyncio.Event())
        assert scheduler.hold
        async with running(scheduler) as client:
            admitted = [asyncio.create_task(client.post("/rerank", json=BODY)) for _ in range(20)]
            while len(scheduler.asked) < 20:
                await asyncio.sleep(0.01)
            signal.raise_signal(signal.SIGTERM)
            await draining.wait()
            refused = await client.post("/rerank", json=BODY)
            assert refused.status_code == 503 and "draining" in refused.json()["message"]
            assert (await client.get("/health/ready")).status_code == 503
            assert (await client.get("/health/live")).status_code == 200
            scheduler.hold.set()
            finish.set()
            answers = await asyncio.gather(*admitted)
            assert [answer.status_code for answer in answers] == [200] * 20

    run(scenario)


def test_it_listens_while_the_model_loads() -> None:
    async def scenario() -> None:
        loaded = asyncio.Event()

        class Loading(FakeScheduler):
            async def start(self) -> None:
                await loaded.wait()
                await FakeScheduler.start(self)

        async with running(Loading(state=replace(READY, ready=False, reason="the model loads."))) as client:
            assert (await client.get("/health/ready")).status_code == 503
            assert (await client.post("/rerank", json=BODY)).status_code == 503
            loaded.set()
            while (await client.get("/health/ready")).status_code != 200:
                pass
            assert (await client.post("/rerank", json=BODY)).status_code == 200

    run(scenario)


def test_a_model_that_does_not_load_ends_the_server() -> None:
    class Broken(FakeScheduler):
        async def start(self) -> None:
            raise ArtifactError("the weights are damaged.")

    with pytest.raises(ArtifactError, match="damaged"):
        server.run({}, Broken(), Settings(port=0), lambda _: None)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(port=taken.getsockname()[1])
        with pytest.raises(OutputError, match="cannot be listened to"):
            server.run({}, FakeScheduler(), settings, lambda _: None)


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "onnxrank.sock"
    # What a killed server leaves behind.
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    async def scenario() -> None:
        settings = Settings(uds=path)
        listener = server.listen(settings)
        assert path.stat().st_mode & 0o777 == 0o660
        scheduler = FakeScheduler()
        app = make_app(scheduler.models, scheduler, settings)
        serving = asyncio.create_task(server.serve(app, scheduler, settings, None, listener))
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            assert (await client.post("/rerank", json=BODY)).status_code == 200
        signal.raise_signal(signal.SIGTERM)
        await serving

    run(scenario)


def test_sighup_reads_the_keys_again(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("first\n")

    async def scenario() -> None:
        async with running(FakeScheduler(), api_keys=keys) as client:
            keys.write_text("second\n")
            os.kill(os.getpid(), signal.SIGHUP)
            first, second = [
                await client.post("/rerank", json=BODY, headers={"Authorization": f"Bearer {key}"})
                for key in ("first", "second")
            ]
            assert (first.status_code, second.status_code) == (401, 200)

    run(scenario)


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_of_100_mb(declared: bool) -> None:
    async def scenario() -> None:
        scheduler = FakeScheduler()

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b" " * (1 << 20)

        async with running(scheduler, max_body=1 << 20) as client:
            content: Any = b" " * (100 << 20) if declared else pieces()
            headers = {"Content-Type": "application/json"}
            answer = await client.post("/rerank", content=content, headers=headers)
            assert answer.status_code == 413 and "--max-body" in answer.json()["message"]
            assert (await client.post("/rerank", json=BODY)).status_code == 200

    run(scenario)


def test_a_body_that_does_not_come() -> None:
    async def scenario() -> None:
        async with running(FakeScheduler(), read_timeout=SHORT) as client:
            reader, writer = await connect(client)
            writer.write(head(client, 1000) + b"{")
            answer = await reader.readuntil(b"\r\n")
            assert b" 408 " in answer
            writer.close()

    run(scenario)


@pytest.mark.parametrize("sent", [b"", b"POST /rerank HTTP/1.1\r\nHost: a\r\nX-Slow: "])
def test_a_head_that_does_not_come(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "SECONDS", SHORT)

    async def scenario() -> None:
        async with running(FakeScheduler()) as client:
            reader, writer = await connect(client)
            writer.write(sent)
            assert await reader.read() == b""
            writer.close()

    run(scenario)


def test_a_request_may_take_longer_than_its_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "SECONDS", SHORT)

    async def scenario() -> None:
        scheduler = FakeScheduler(hold=asyncio.Event())
        assert scheduler.hold
        async with running(scheduler, read_timeout=SHORT) as client:
            asking = asyncio.create_task(client.post("/rerank", json=BODY))
            await scheduler.entered.wait()
            await asyncio.sleep(2 * SHORT)
            scheduler.hold.set()
            assert (await asking).status_code == 200
            assert (await client.post("/rerank", json=BODY)).status_code == 200

    run(scenario)


def test_a_client_that_does_not_take_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "SECONDS", SHORT)

    async def scenario() -> None:
        # More than the sockets' buffers hold.
        body = json.dumps({"query": "a", "documents": ["x" * (30 << 20)], "return_documents": True}).encode()
        async with running(FakeScheduler()) as client:
            reader, writer = await connect(client)
            ended = asyncio.Event()
            lost = PatientProtocol.connection_lost

            def note(self: PatientProtocol, error: Exception | None) -> None:
                lost(self, error)
                ended.set()

            monkeypatch.setattr(PatientProtocol, "connection_lost", note)
            writer.write(head(client, len(body)) + body)
            await asyncio.wait_for(ended.wait(), 30)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(len(body))
            writer.close()

    run(scenario)


@pytest.mark.parametrize(
    "request_",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"POST /rerank HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /rerank HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_http(request_: bytes) -> None:
    async def scenario() -> None:
        async with running(FakeScheduler()) as client:
            reader, writer = await connect(client)
            writer.write(request_)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                answer = await reader.read()
                assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
                assert b"Traceback" not in answer
            writer.close()
            assert (await client.post("/rerank", json=BODY)).status_code == 200

    run(scenario)
