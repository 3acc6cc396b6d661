"""A server that is killed and started again, under clients that come again."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.serve.live import live

BODY = {"query": "sort an array", "documents": [f"numpy.sort: a sorted copy of array {i}" for i in range(40)]}
CLIENTS = 8
PATIENCE = 120.0


def test_sigkill_under_load(demo_artifact: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("--threads", "1", "--variant", "fp32", "--port", str(port))
    running, again = threading.Barrier(CLIENTS + 1), threading.Event()
    failures: list[str] = []

    def ask(client: httpx.Client) -> dict[int, float] | None:
        try:
            answer = client.post(f"http://127.0.0.1:{port}/rerank", json=BODY)
        except httpx.TransportError as error:
            failures.append(type(error).__name__)
            return None
        if answer.status_code != 200:
            failures.append(str(answer.status_code))
            return None
        return {hit["index"]: hit["relevance_score"] for hit in answer.json()["results"]}

    def ask_on(_: int) -> list[dict[int, float]]:
        """Return the answers before the kill, and one of the server that follows."""
        answers, end = [], time.monotonic() + PATIENCE
        with httpx.Client(timeout=PATIENCE) as client:
            answers.append(ask(client))
            running.wait()
            while time.monotonic() < end:
                # Read first, so that the answer that ends this comes from the new server.
                restarted = again.is_set()
                answers.append(ask(client))
                if answers[-1] is None:
                    time.sleep(0.05)
                elif restarted:
                    return [answer for answer in answers if answer]
        raise TimeoutError

    with ThreadPoolExecutor(CLIENTS) as threads:
        with live(demo_artifact, options=options) as server:
            asking = [threads.submit(ask_on, i) for i in range(CLIENTS)]
            running.wait()
            server.process.kill()
            assert server.process.wait() == -9
        with live(demo_artifact, options=options):
            again.set()
            answers = [answer for client in asking for answer in client.result()]
    assert failures and set(failures) <= {"ConnectError", "ReadError", "RemoteProtocolError", "503"}
    for answer in answers:
        assert answer == pytest.approx(answers[0], abs=1e-6) and len(answer) == len(BODY["documents"])
