"""Raw requests to the demo page's server: it answers or closes, serves nothing else, and still serves the next one."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxrank.cli.demo import demo_server
from tests.fuzz.campaign import SECONDS, attempt, cases
from tests.fuzz.mutations import damaged_bytes

GOOD = b"GET /artifact/reranker.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
PATHS = ["/", "/%", "/%00", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/artifact/../../etc/passwd", "*", "http://[/",
         "/src/%ff%fe", "/" + "a" * 300, "/" + "a/" * 3000, "/artifact/%0d%0aX: 1", "/?" + "q" * 9_000, "\\..\\..",
         "/src/web.js/", "/src/..%5c..%5c", "/node_modules/" + "../" * 50 + "etc/passwd"]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "get", "", "G" * 9_000, "TRACE", "CONNECT"]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/9.9", "HTTP/1.1.1", "HTTP/a.b", "HTTP/-1.1", "HTTP/" + "9" * 30,
            "", "FTP"]  # fmt: skip
HEADERS = ["Host: localhost", "Host: [", "Host: localhost:99999999", "Host: a@localhost", "Connection: close", ": x",
           "X" * 9_000, "A: b\r\n" * 200, "Range: bytes=-1", "If-Modified-Since: never", "Content-Length: -1",
           "If-Modified-Since: Mon, 99 Foo 99999 99:99:99 GMT", "Content-Length: " + "9" * 400, "Expect: 100-continue",
           "Transfer-Encoding: chunked", "\x00: \x00", " folded"]  # fmt: skip


def request(method: str, path: str, version: str, headers: list[str]) -> bytes:
    lines = [f"{method} {path} {version}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


REQUESTS = st.builds(
    request,
    st.sampled_from(METHODS) | st.just("GET"),
    st.sampled_from(PATHS) | st.text(st.characters(max_codepoint=255), max_size=20).map(lambda text: f"/{text}"),
    st.sampled_from(VERSIONS) | st.just("HTTP/1.1"),
    st.lists(st.sampled_from(HEADERS), max_size=4).map(lambda found: ["Host: localhost", "Connection: close", *found]),
)


@pytest.fixture(scope="module")
def port(artifacts: dict[str, Path]) -> Iterator[int]:
    with demo_server(artifacts["qwen3-reranker"], 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_damaged_requests(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    @cases(short=60, share=0.5)
    @given(REQUESTS | damaged_bytes(GOOD) | st.binary(max_size=100))
    def check(content: bytes) -> None:
        def ask() -> None:
            assert b"root:" not in exchange(port, content)
            assert exchange(port, GOOD).startswith(b"HTTP/1.1 200 ")

        attempt("HTTP requests", ask)

    check()
    for size in (1 << 16, 1 << 20):
        many = "x" * size
        for content in (request(many, "/", "HTTP/1.1", []), request("GET", f"/?{many}", "HTTP/1.1", []),
                        request("GET", "/", "HTTP/1.1", [f"X: {many}"]), request("GET", "/", many, []),
                        request("GET", "/", "HTTP/1.1", ["Host: localhost"] * (size // 20))):  # fmt: skip
            exchange(port, content)
    assert exchange(port, GOOD).startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in capfd.readouterr().err


def test_slow_clients_keep_no_other_waiting(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(GOOD[:10])
        start = time.monotonic()
        assert exchange(port, GOOD).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - start < SECONDS


def exchange(port: int, content: bytes) -> bytes:
    """Send bytes and close that direction; return all that comes back."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        try:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(1 << 16):
                answer += part
        except TimeoutError:
            raise
        except OSError:
            pass  # the server closed before it had read all
    return answer
