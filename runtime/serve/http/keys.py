"""API keys: a file with a key in each line, read again when it changes."""

import hashlib
import hmac
import logging
from collections.abc import Iterable
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from onnxrank.errors import InputError
from onnxrank.serve.http.failures import failure

# A probe has no key, and the page asks its reader for one.
_OPEN = ("/", "/health", "/health/live", "/health/ready", "/ping", "/openapi.json")
PAGE_FILES = "/page/"
_LOG = logging.getLogger("onnxrank.serve")


class KeyFile:
    """The keys of a file. Lines that are empty or start with # are none."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a file that cannot be read or has no key."""
        self._path = path
        self._seen = self._signature()
        self._digests = self._read()

    def admits(self, key: str) -> bool:
        """Whether the file has that key. The time taken does not depend on which, nor on how much of one is right."""
        self.reload()
        # The bytes of the header, which Starlette decodes as Latin-1.
        digest = _digest(key.encode("latin-1"))
        return any([hmac.compare_digest(digest, known) for known in self._digests])

    def reload(self) -> None:
        """Read the file if it has changed. A file that has become unreadable changes nothing, and the log says so."""
        if (signature := self._signature()) == self._seen:
            return
        self._seen = signature
        try:
            self._digests = self._read()
        except InputError as error:
            _LOG.error("the API keys stay as they were: %s", error)
        else:
            _LOG.info("read %d API keys", len(self._digests))

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[bytes, ...]:
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the API keys in {self._path} cannot be read ({error}); give a text file.") from error
        keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not keys:
            raise InputError(f"{self._path} has no API key; write one a line.")
        return tuple(_digest(key.encode()) for key in keys)


class RequireKey:
    """Middleware: refuses requests without a key."""

    def __init__(self, app: ASGIApp, keys: KeyFile) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path in _OPEN or path.startswith(PAGE_FILES):
            return await self._app(scope, receive, send)
        if any(self._keys.admits(key) for key in _presented(Headers(scope=scope))):
            return await self._app(scope, receive, send)
        refusal = failure(
            401,
            "the API key is missing or wrong; send `Authorization: Bearer KEY`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refusal(scope, receive, send)


def _presented(headers: Headers) -> Iterable[str]:
    """Return the keys of a request: TEI's clients send the bare key, and Pinecone's have a header of their own."""
    if given := headers.get("authorization"):
        scheme, _, key = given.partition(" ")
        yield key.strip() if scheme.lower() == "bearer" else given
    if given := headers.get("api-key"):
        yield given


def _digest(key: bytes) -> bytes:
    """Return a hash, so that all comparisons are of the same length."""
    return hashlib.sha256(key).digest()
