"""The server of the demo page: what it serves, and what it refuses."""

import gzip
import http.client
import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from onnxrank.cli import demo as demo_cli
from onnxrank.cli.demo import LIBRARIES, LIBRARY_FILES, demo_server, import_map
from onnxrank.errors import ArtifactError, InputError, OutputError
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import TINY


@pytest.fixture(scope="module")
def port(demo_artifact: Path) -> Iterator[int]:
    with served(demo_artifact) as port:
        yield port


@pytest.fixture(scope="module")
def port_beside(demo_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of an artifact with a file that its manifest does not list, and one beside its folder."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(demo_artifact, folder / "artifact", copy_function=os.link)
    for secret in (folder / "artifact" / "unlisted", folder / "beside"):
        secret.write_text("secret")
    with served(folder / "artifact") as port:
        yield port


@pytest.fixture(scope="module")
def tiny_artifact(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "artifact"
    export_tiny(tiny_checkpoint, folder, family="qwen3-reranker", max_length=600)
    return folder


@contextmanager
def served(artifact: Path) -> Iterator[int]:
    with demo_server(artifact, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def get(port: int, path: str, host: str = "localhost") -> tuple[http.client.HTTPResponse, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        # A raw request, because no client library would send these paths.
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", f"{host}:{port}")
        connection.endheaders()
        response = connection.getresponse()
        return response, response.read()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/?model=./artifact/", "text/html; charset=utf-8"),
        ("/demo.js", "text/javascript"),
        ("/demo.css", "text/css"),
        ("/src/web.js", "text/javascript"),
        ("/artifact/reranker.json", "application/json"),
        ("/artifact/onnx/model_q4.onnx_data", "application/octet-stream"),
    ],
)
def test_what_the_page_needs(port: int, path: str, kind: str) -> None:
    response, _ = get(port, path)
    assert response.status == 200
    assert response.headers["Content-Type"] == kind
    # Without these two, WASM has one thread.
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/src/",
        "/node_modules/",
        "/src//etc/passwd",
        "/src/../../cli.py",
        "/src/..%2f..%2fcli.py",
        "/..%2fpackage.json",
        "/artifact/",
        "/artifact/onnx",
        "/artifact//etc/passwd",
        "/artifact/../beside",
        "/artifact/..%2fbeside",
        "/artifact/unlisted",
    ],
)
def test_nothing_else_is_served(port_beside: int, path: str) -> None:
    response, body = get(port_beside, path)
    assert response.status == 404 and b"secret" not in body and b"root:" not in body


def test_other_names_of_this_machine_are_refused(port: int) -> None:
    """Otherwise another site could resolve its name to this machine and read the model (DNS rebinding)."""
    assert get(port, "/", host="rebound.example")[0].status == 421


@pytest.mark.parametrize(
    ("request_line", "host", "status"),
    [
        (b"GET foo", b"localhost", 404),
        (b"GET /%00", b"localhost", 404),
        (b"GET /src/%00.js", b"localhost", 404),
        (b"GET http://[/", b"localhost", 404),
        (b"GET /", b"[", 421),
        (b"HEAD /", b"localhost", 200),
    ],
)
def test_odd_requests_are_answered(
    port: int, capsys: pytest.CaptureFixture[str], request_line: bytes, host: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request_line + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 %d " % status) and answer.count(b"HTTP/1.1") == 1
    assert "Traceback" not in capsys.readouterr().err


def test_unchanged_files_are_not_sent_again(port: int) -> None:
    response, _ = get(port, "/src/web.js")
    with closing(http.client.HTTPConnection("localhost", port, timeout=10)) as connection:
        connection.request("GET", "/src/web.js", headers={"If-Modified-Since": response.headers["Last-Modified"]})
        assert connection.getresponse().status == 304


def test_libraries_come_from_a_mirror_where_npm_has_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "package.json").write_text((demo_cli.WEB / "package.json").read_text())
    monkeypatch.setattr(demo_cli, "WEB", tmp_path)
    remote = import_map()["imports"]
    page = (Path(demo_cli.__file__).parent.parent / "web" / "demo" / "index.html").read_text()
    (own,) = re.findall(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)
    assert {**remote, "onnxrank": "../src/web.js"} == json.loads(own)["imports"]
    local = tmp_path / "node_modules" / "@huggingface" / "tokenizers" / "dist" / "tokenizers.mjs"
    local.parent.mkdir(parents=True)
    local.touch()
    assert (
        import_map()["imports"]["@huggingface/tokenizers"]
        == "/node_modules/@huggingface/tokenizers/dist/tokenizers.mjs"
    )


def test_a_release_carries_libraries_gzipped(
    tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("package.json", "demo", "src"):
        (tmp_path / name).symlink_to(demo_cli.WEB / name)
    for name in LIBRARY_FILES:
        file = tmp_path / "libraries" / f"{name}.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(f"this is {name}".encode()))
    (tmp_path / "secret.gz").write_bytes(b"secret")
    monkeypatch.setattr(demo_cli, "WEB", tmp_path)
    addresses = import_map()["imports"]
    assert not [address for address in addresses.values() if not address.startswith("/")]
    with served(tiny_artifact) as port:
        for name in LIBRARY_FILES:
            response, body = get(port, f"/node_modules/{name}")
            kind = "application/wasm" if name.endswith(".wasm") else "text/javascript"
            assert (response.status, response.headers["Content-Type"]) == (200, kind)
            assert response.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(body).decode() == f"this is {name}"
        assert get(port, "/node_modules/../../secret")[0].status == 404
        assert get(port, "/node_modules/onnxruntime-web/LICENSE")[0].status == 404
        assert get(port, "/src/web.js")[0].headers["Content-Encoding"] is None


def test_every_library_of_the_page_is_in_the_list() -> None:
    """An installed library names the binary that it loads."""
    if not (demo_cli.WEB / "node_modules").is_dir():
        pytest.skip("npm has not run; `make web` runs it")
    for package, file in LIBRARIES.values():
        text = (demo_cli.WEB / "node_modules" / package / file).read_text(encoding="utf-8")
        for binary in re.findall(r"ort-wasm-[\w.-]+\.wasm\b", text):
            assert f"{package}/dist/{binary}" in LIBRARY_FILES


def test_an_embedder_has_no_scores_to_show(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", TINY["qwen3-embedding"].write)
    export_tiny(checkpoint, tmp_path / "artifact", family="qwen3-embedding", max_length=600)
    with pytest.raises(InputError, match="artifact gives embeddings, no scores; the page shows rerankers and ColBERT"):
        demo_server(tmp_path / "artifact", 0)


def test_bad_input(demo_artifact: Path, tmp_path: Path, port: int) -> None:
    with pytest.raises(InputError, match="is no folder"):
        demo_server(tmp_path / "nowhere", 0)
    with pytest.raises(ArtifactError, match=r"has no reranker\.json"):
        demo_server(tmp_path, 0)
    with pytest.raises(OutputError, match=f"port {port} cannot be used"):
        demo_server(demo_artifact, port)
