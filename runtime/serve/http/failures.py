"""Every way in which a request can fail, as a status and a body of its dialect. No body shows a traceback."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from onnxrank.errors import InputError
from onnxrank.serve.dialects.errors import ErrorBody
from onnxrank.serve.dialects.tei import TeiError
from onnxrank.serve.errors import DeadlineExceeded, NoScore, Overloaded, Unavailable

_LOG = logging.getLogger("onnxrank.serve")


class UnknownModel(InputError):
    """A request names a model that is not served."""


_STATUS: Mapping[type[Exception], int] = {
    InputError: 400,
    UnknownModel: 404,
    Overloaded: 429,
    Unavailable: 503,
    DeadlineExceeded: 504,
}


def add_handlers(app: FastAPI) -> None:
    """Let an app answer each failure."""
    app.add_exception_handler(RequestValidationError, _misshaped)
    app.add_exception_handler(HTTPException, _http)
    for error in _STATUS:
        app.add_exception_handler(error, _refused)
    app.add_exception_handler(NoScore, _failed)
    app.add_exception_handler(Exception, _failed)


def failure(status: int, message: str, *, tei: bool = False, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer to a failed request."""
    body: BaseModel
    if tei:
        # TEI's own statuses for an invalid request and for a model that fails.
        status = {400: 422, 500: 424}.get(status, status)
        body = TeiError.of(status, message)
    else:
        body = ErrorBody.of(status, message)
    return Response(body.model_dump_json(), status, headers, "application/json")


async def _refused(request: Request, error: Exception) -> Response:
    status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    headers = {}
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return failure(status, str(error), tei=_speaks_tei(request), headers=headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    # Starlette's own words for these two name neither a remedy nor, for all, the request.
    messages = {404: "there is nothing at this path; see /openapi.json.", 405: "this path takes another method."}
    message = messages.get(error.status_code, error.detail)
    return failure(error.status_code, message, tei=_speaks_tei(request), headers=error.headers)


async def _misshaped(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return failure(400, _sentence(error.errors()[0]), tei=_speaks_tei(request))


async def _failed(request: Request, error: Exception) -> Response:
    request_id = request.state.facts.id
    # uvicorn logs the traceback of any other error.
    _LOG.error("request %s failed", request_id, exc_info=error if isinstance(error, NoScore) else None)
    return failure(500, f"the server failed; its log says why, under request {request_id}.", tei=_speaks_tei(request))


def _speaks_tei(request: Request) -> bool:
    return getattr(request.state, "tei", False)


def _sentence(problem: Mapping[str, Any]) -> str:
    """Return what is wrong with a body from pydantic's account: a place such as ("body", "cohere", "documents"), and a
    message."""
    place = [str(part) for part in problem["loc"][1:]]
    if place and place[0] in _TAGS:
        place = place[1:]
    message = str(problem["msg"])
    if not place:
        return f"the body is not understood: {_lower(message)}; send a JSON object as /openapi.json describes it."
    if problem["type"] == "missing":
        return f"{place[-1]} is missing; see /openapi.json."
    return f"{'.'.join(place)}: {_lower(message)}."


_TAGS = frozenset({"cohere", "infinity", "tei", "voyage", "score", "embeddings"})


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
