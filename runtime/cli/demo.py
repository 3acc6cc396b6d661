"""`onnxrank demo`: the demo page of runtime/web/, with one artifact, on this machine alone."""

import json
import re
import webbrowser
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from onnxrank.artifact.opening import open_artifact
from onnxrank.cli.console import say
from onnxrank.errors import InputError, OutputError

WEB = Path(__file__).parent.parent / "web"
# The libraries of the page: a file of the package that `npm install` put beside it, or of a public mirror of npm.
CDN = "https://cdn.jsdelivr.net/npm"
LIBRARIES = {
    "onnxruntime-web/webgpu": ("onnxruntime-web", "dist/ort.webgpu.bundle.min.mjs"),
    "onnxruntime-web/wasm": ("onnxruntime-web", "dist/ort.wasm.bundle.min.mjs"),
    "@huggingface/tokenizers": ("@huggingface/tokenizers", "dist/tokenizers.mjs"),
}
# What the server serves: the starts of paths, each for one folder.
PAGE, SOURCE, PACKAGES, ARTIFACT = "/", "/src/", "/node_modules/", "/artifact/"
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm"}

_IMPORT_MAP = re.compile(r'<script type="importmap">.*?</script>', re.DOTALL)

_NOWHERE = WEB / "no such file"


def demo(
    artifact: Annotated[Path, typer.Argument(help="Folder that export-model wrote.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free port.")] = 8090,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Rank texts in a browser: the artifact under WebGPU or WASM, on a page served to this machine alone.

    `onnxrank demo artifacts/demo`
    """
    with demo_server(artifact, port) as server:
        address = f"http://localhost:{server.server_port}/"
        say(f"{artifact} is at {address}; Ctrl+C ends it.")
        if open_page:
            webbrowser.open(address)
        server.serve_forever()


def demo_server(artifact: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of the page and the artifact on the loopback address, not running yet.

    Raises ArtifactError or InputError if `artifact` is no folder with an artifact, OutputError if the port is taken.
    """
    if not artifact.is_dir():
        raise InputError(f"{artifact} is no folder; give the folder that `export-model` wrote.")
    files = set(open_artifact(artifact).manifest.files) | {"reranker.json"}
    handler = partial(_Handler, artifact=artifact.resolve(), files=files)
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise OutputError(f"port {port} cannot be used ({error.strerror}); choose another --port.") from error


def import_map() -> dict[str, dict[str, str]]:
    """Return where the page finds its libraries: in node_modules where they are installed, else on a mirror of npm."""
    pinned = json.loads((WEB / "package.json").read_text(encoding="utf-8"))["dependencies"]
    imports = {"onnxrank": f"{SOURCE}web.js"}
    for name, (package, file) in LIBRARIES.items():
        local = (WEB / "node_modules" / package / file).is_file()
        imports[name] = f"{PACKAGES}{package}/{file}" if local else f"{CDN}/{package}@{pinned[package]}/{file}"
    return {"imports": imports}


class _Handler(SimpleHTTPRequestHandler):
    """GET and HEAD, with byte ranges left to the browser's retry; nothing outside the four folders."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: object, artifact: Path, files: set[str]) -> None:
        self._artifact = artifact
        self._files = files
        self.extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}
        super().__init__(*args)  # type: ignore[arg-type]  # the server's own three

    def do_GET(self) -> None:
        if self._allowed():
            self._page() if self._name() == PAGE else super().do_GET()

    def do_HEAD(self) -> None:
        if self._allowed():
            super().do_HEAD()

    def translate_path(self, path: str) -> str:
        """Return the file of a request, or one that does not exist."""
        name = self._name()
        if name.startswith(ARTIFACT):
            # Only what the manifest lists, which may be links into a hub's cache.
            rest = name.removeprefix(ARTIFACT)
            return str(self._artifact / rest if rest in self._files else _NOWHERE)
        folders = {SOURCE: WEB / "src", PACKAGES: WEB / "node_modules", PAGE: WEB / "demo"}
        start = next(start for start in folders if name.startswith(start))
        file = (folders[start] / name.removeprefix(start)).resolve()
        return str(file if file.is_relative_to(folders[start].resolve()) and file.is_file() else _NOWHERE)

    def end_headers(self) -> None:
        # Threads in WASM need memory that pages share, which browsers give to isolated pages alone.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        # An artifact may be exported again: ask each time, and send only what changed.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a line for each file hides what the command says."""

    def _name(self) -> str:
        return unquote(urlsplit(self.path).path)

    def _allowed(self) -> bool:
        """Whether the page was asked for by this machine's name: another's could be made to point here."""
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
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
        self.wfile.write(body)
