"""Reads JSON that may be meant to do harm: bounded in depth and in values, UTF-8 only, no NaN."""

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onnxrank.serve.dialects.detection import rerank_dialect

# Of each document: itself and its fields.
_VALUES_PER_DOCUMENT = 20
_VALUES_BESIDES = 1_000

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def read_json(body: bytes, max_documents: int) -> Any:
    """Return the value of a JSON text. Raises HTTPException for no JSON, or more than a request can need.

    Values are counted before they are made, because an empty list is 2 bytes in a body and 56 in memory. The parser
    itself refuses what is nested deeper than 200.
    """
    outside_strings = _STRING.sub(b"", body)
    limit = _VALUES_PER_DOCUMENT * max_documents + _VALUES_BESIDES
    if sum(outside_strings.count(mark) for mark in (b",", b"[", b"{")) > limit:
        raise HTTPException(400, f"the body has more than {limit} values; send fewer documents in a request.")
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise HTTPException(400, f"the body is no JSON: {error}.") from error


class JsonRoute(APIRoute):
    """A route whose bodies `read_json` reads."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            if request.method == "POST" and not _is_json(request):
                raise HTTPException(415, "the body's Content-Type is not application/json; send JSON, and say so.")
            return await handle(_JsonRequest(request.scope, request.receive))

        return handle_json


def _is_json(request: Request) -> bool:
    """Whether a body is declared as JSON: a page of another origin may send any other type without asking."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


class _JsonRequest(Request):
    async def json(self) -> Any:
        body = read_json(await self.body(), self.app.state.served.settings.max_documents)
        # Isaacus has `texts` too, and a route of its own.
        self.state.tei = rerank_dialect(body) == "tei" and not self.url.path.endswith("/rerankings")
        return body
