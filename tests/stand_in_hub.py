"""A small local stand-in for the model hub's HTTP API, which can simulate failures."""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One GET of a file: its first byte, and how many bytes were sent."""

    path: str
    start: int
    sent: int


@dataclass
class StandInHub:
    """Serves `folder/owner/name/...` as repositories with one commit, called main.

    refusals: repositories that answer with a status and an X-Error-Code. cut_at: the byte of a file at which its
    download is cut, for the next `cuts` downloads. Uploads go by git's large file protocol, which the client speaks
    where it has no Xet. visibility: of repositories that the client made. large: contents that were uploaded before
    their commit, by SHA-256. commits: the paths of each.
    """

    folder: Path
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    cut_at: int = 0
    cuts: int = 0
    downloads: list[Download] = field(default_factory=list)
    visibility: dict[str, str] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    commits: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, repo_id: str, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            path = self.folder / repo_id / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def use(self, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
        """Point the hub client at this server; it reads the environment at import, so its constants are set."""
        point_client(monkeypatch, self.endpoint, cache)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def point_client(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # Uploads: the interface that `huggingface_hub.upload_folder` belongs to took its endpoint at import.
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)  # older clients have no Xet
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", endpoint)
    monkeypatch.setattr("huggingface_hub.hf_api.api.token", "token")


class _Handler(BaseHTTPRequestHandler):
    hub: StandInHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_PUT(self) -> None:
        content = self._body()
        self.hub.large[hashlib.sha256(content).hexdigest()] = content
        self._send_json({})

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self._body()
        if path == "/api/validate-yaml":
            return self._send_json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            repo_id = f"{asked['organization']}/{asked['name']}"
            if repo_id in self.hub.refusals:
                return self._refuse(*self.hub.refusals[repo_id])
            if (self.hub.folder / repo_id).exists():
                return self._send_json({"url": f"{self.hub.endpoint}/{repo_id}"}, status=409)
            (self.hub.folder / repo_id).mkdir(parents=True)
            # Releases before 1.0 say `private`.
            self.hub.visibility[repo_id] = asked.get("visibility") or ("private" if asked["private"] else "public")
            return self._send_json({"url": f"{self.hub.endpoint}/{repo_id}"})
        if re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            return self._send_json({"objects": [self._lfs_object(entry) for entry in json.loads(body)["objects"]]})
        if upload := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", path):
            repository = self.hub.folder / upload[1]
            if upload[2] == "preupload":
                files = json.loads(body)["files"]
                return self._send_json({"files": [_upload_mode(repository, file) for file in files]})
            self._commit(repository, [json.loads(line) for line in body.splitlines()])
            address = f"{self.hub.endpoint}/{upload[1]}/commit/{COMMIT}"
            return self._send_json({"commitUrl": address, "commitOid": COMMIT})
        self._refuse(404, "EntryNotFound")

    def _lfs_object(self, entry: dict[str, Any]) -> dict[str, Any]:
        there = entry["oid"] in self.hub.large
        actions = {} if there else {"actions": {"upload": {"href": f"{self.hub.endpoint}/upload/{entry['oid']}"}}}
        return {"oid": entry["oid"], "size": entry["size"], **actions}

    def _commit(self, repository: Path, operations: list[dict[str, Any]]) -> None:
        files = {}
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        self.hub.add(repository.relative_to(self.hub.folder).as_posix(), files)
        self.hub.commits.append(sorted(files))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing; tests read `downloads`."""

    def _answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if file := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repo_id, revision, name = file.groups()
        elif api := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            repo_id, revision, name = api[1], api[3] or "main", None
        else:
            return self._refuse(404, "EntryNotFound")
        if repo_id in self.hub.refusals:
            return self._refuse(*self.hub.refusals[repo_id])
        repository = self.hub.folder / repo_id
        if not repository.is_dir():
            return self._refuse(404, "RepoNotFound")
        if revision not in ("main", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        if name is None:
            return self._send_json(_tree(repository) if "/tree/" in path else _info(repo_id, repository))
        if not (repository / name).is_file():
            return self._refuse(404, "EntryNotFound")
        self._send_file(name, (repository / name).read_bytes(), body)

    def _send_file(self, name: str, content: bytes, body: bool) -> None:
        requested = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(requested[1]) if requested else 0
        part = content[start:]
        self.send_response(206 if requested else 200)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if requested:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if not body:
            return
        if self.hub.cuts:
            self.hub.cuts -= 1
            self.close_connection = True
            part = content[start : self.hub.cut_at]
        # Record it before sending, because the test continues once the client has the bytes.
        self.hub.downloads.append(Download(path=name, start=start, sent=len(part)))
        self.wfile.write(part)

    def _send_json(self, data: Any, status: int = 200) -> None:
        content = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _upload_mode(repository: Path, file: dict[str, Any]) -> dict[str, Any]:
    """Return how a file is to be uploaded, by its name as the hub does, and git's hash of what is there."""
    path = repository / file["path"]
    large = path.suffix not in (".json", ".md")
    found = {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
    if path.is_file():
        content = path.read_bytes()
        blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        found["oid"] = hashlib.sha256(content).hexdigest() if large else blob
    return found


def _files(repository: Path) -> list[Path]:
    return sorted(path for path in repository.rglob("*") if path.is_file())


def _info(repo_id: str, repository: Path) -> dict[str, Any]:
    siblings = [{"rfilename": path.relative_to(repository).as_posix()} for path in _files(repository)]
    return {
        "id": repo_id,
        "modelId": repo_id,
        "sha": COMMIT,
        "siblings": siblings,
        "tags": [],
        "downloads": 0,
    }


def _tree(repository: Path) -> list[dict[str, Any]]:
    return [
        {
            "type": "file",
            "path": path.relative_to(repository).as_posix(),
            "size": path.stat().st_size,
            "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
        }
        for path in _files(repository)
    ]
