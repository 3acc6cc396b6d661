"""`onnxrank demo`: serves the demo page of runtime/web/ and one artifact, to this machine only."""

import io
import json
import os
import re
import sys
import webbrowser
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from urllib.parse import unquote, urlsplit

import typer

from onnxrank.artifact.opening import open_artifact
from onnxrank.cli.console import say
from onnxrank.errors import InputError, OutputError

WEB = Path(__file__).parent.parent / "web"
# The libraries of the page: a file that `npm install` put beside it, or that a release carries gzipped, or of a public
# npm mirror.
CDN = "https://cdn.jsdelivr.net/npm"
LIBRARIES = {
    "onnxruntime-web/webgpu": ("onnxruntime-web", "dist/ort.webgpu.bundle.min.mjs"),
    "onnxruntime-web/wasm": ("onnxruntime-web", "dist/ort.wasm.bundle.min.mjs"),
    "@huggingface/tokenizers": ("@huggingface/tokenizers", "dist/tokenizers.mjs"),
}
# The binaries that the two builds of ONNX Runtime load from their own folder.
_BINARIES = ("dist/ort-wasm-simd-threaded.asyncify.wasm", "dist/ort-wasm-simd-threaded.wasm")
LIBRARY_FILES = [
    *(f"{package}/{file}" for package, file in LIBRARIES.values()),
    *(f"onnxruntime-web/{file}" for file in _BINARIES),
]
INSTALLED, CARRIED = "node_modules", "libraries"
# URL path prefixes; each stands for one folder.
PAGE, SOURCE, PACKAGES, ARTIFACT = "/", "/src/", "/node_modules/", "/artifact/"
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm"}

_IMPORT_MAP = re.compile(r'<script type="importmap">.*?</script>', re.DOTALL)

_NOWHERE = WEB / "no such file"


def demo(
    artifact: Annotated[Path, typer.Argument(help="Folder that export-model wrote.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free port.")] = 8090,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Rank texts in a browser with WebGPU or WASM; the page is served to this machine only.

    `onnxrank demo artifacts/demo`
    """
    with demo_server(artifact, port) as server:
        address = f"http://localhost:{server.server_port}/"
        say(f"{artifact} is at {address}; Ctrl+C ends it.")
        if open_page:
            webbrowser.open(address)
        server.serve_forever()


def demo_server(artifact: Path, port: int) -> ThreadingHTTPServer:
    """Return a server for the page and the artifact on the loopback address; it does not run yet.

    Raises ArtifactError or InputError if `artifact` is not an artifact's folder, OutputError if the port is taken.
    """
    if not artifact.is_dir():
        raise InputError(f"{artifact} is no folder; give the folder that `export-model` wrote.")
    manifest = open_artifact(artifact).manifest
    if manifest.scoring.opened_with == "Embedder":
        raise InputError(f"{artifact} gives embeddings, no scores; the page shows rerankers and ColBERT models.")
    files = set(manifest.files) | {"reranker.json"}
    handler = partial(_Handler, artifact=artifact.resolve(), files=files)
    try:
        return _Server(("127.0.0.1", port), handler)
    except OSError as error:
        raise OutputError(f"port {port} cannot be used ({error.strerror}); choose another --port.") from error


def import_map() -> dict[str, dict[str, str]]:
    """Return the page's import map: libraries of this machine where it has them, else on an npm mirror."""
    pinned = json.loads((WEB / "package.json").read_text(encoding="utf-8"))["dependencies"]
    imports = {"onnxrank": f"{SOURCE}web.js"}
    for name, (package, file) in LIBRARIES.items():
        local = _installed(f"{package}/{file}") or _carried(f"{package}/{file}")
        imports[name] = f"{PACKAGES}{package}/{file}" if local else f"{CDN}/{package}@{pinned[package]}/{file}"
    return {"imports": imports}


def _installed(name: str) -> Path | None:
    return _inside(WEB / INSTALLED, name)


def _carried(name: str) -> Path | None:
    return _inside(WEB / CARRIED, f"{name}.gz")


def _inside(folder: Path, name: str) -> Path | None:
    """Return the file of that name in a folder, or None if it has none, or if the name leads out of it."""
    file = (folder / name).resolve()
    try:
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except OSError:  # a name too long for the disk
        return None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep a traceback for bugs: that a client goes away is none."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD, without byte ranges; serves nothing outside the four folders."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a client may be silent
    _gzipped = False  # whether the answer under way is a gzipped file

    def __init__(self, *args: object, artifact: Path, files: set[str]) -> None:
        self._artifact = artifact
        self._files = files
        self.extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}
        super().__init__(*args)  # type: ignore[arg-type]  # the three arguments that the server passes

    def do_GET(self) -> None:
        if self._allowed():
            self._page() if self._name() == PAGE else super().do_GET()

    def do_HEAD(self) -> None:
        if self._allowed():
            self._page() if self._name() == PAGE else super().do_HEAD()

    def translate_path(self, path: str) -> str:
        """Return the file of a request, or a path that does not exist if the request is not allowed."""
        name = self._name()
        if name.startswith(ARTIFACT):
            # Only files that the manifest lists; they may be links into the hub client's cache.
            rest = name.removeprefix(ARTIFACT)
            return str(self._artifact / rest if rest in self._files else _NOWHERE)
        if "\0" in name or not name.startswith(PAGE):
            return str(_NOWHERE)
        if name.startswith(PACKAGES):
            rest = name.removeprefix(PACKAGES)
            return str(_installed(rest) or _carried(rest) or _NOWHERE)
        start, folder = (SOURCE, "src") if name.startswith(SOURCE) else (PAGE, "demo")
        return str(_inside(WEB / folder, name.removeprefix(start)) or _NOWHERE)

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Send a file's headers; a file that the release carries is sent as it lies there."""
        self._gzipped = Path(self.translate_path(self.path)).is_relative_to((WEB / CARRIED).resolve())
        try:
            return super().send_head()
        finally:
            self._gzipped = False

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        return super().guess_type(str(path).removesuffix(".gz") if self._gzipped else path)

    def end_headers(self) -> None:
        if self._gzipped:
            self.send_header("Content-Encoding", "gzip")
        # WASM threads need shared memory, which browsers allow only in cross-origin isolated pages.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        # An artifact may be exported again, so the browser has to ask each time whether a file changed.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a line for each file would hide the command's own output."""

    def _name(self) -> str:
        try:
            return unquote(urlsplit(self.path).path)
        except ValueError:
            return ""

    def _allowed(self) -> bool:
        """Whether the Host header names this machine; this prevents DNS rebinding."""
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:  # no address at all
            host = None
        if host in ("localhost", "127.0.0.1"):
            return True
        self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        return False

    def _page(self) -> None:
        text = (WEB / "demo" / "index.html").read_text(encoding="utf-8")
        own = f'<script type="importmap">{json.dumps(import_map())}</script>'
        body = _IMPORT_MAP.sub(lambda _: own, text).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
