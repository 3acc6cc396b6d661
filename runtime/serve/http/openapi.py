"""The document at /openapi.json: complete, and true of errors too."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import Response

from onnxrank.serve.dialects.errors import ErrorBody
from onnxrank.serve.dialects.tei import TeiError

DESCRIPTION = """Scores and ranks documents, for the clients of Cohere, Jina, Voyage, vLLM, TEI, Infinity, Mixedbread,
Isaacus, Pinecone, Together and OpenAI. Unknown fields are ignored, and null is the same as left out.

Every answer has `X-Request-Id`, the client's own if it sent one; answers with scores have TEI's `x-compute-tokens`,
`x-total-time`, `x-tokenization-time`, `x-queue-time` and `x-inference-time` (milliseconds)."""

_FAILURES = {
    400: "Something in the request cannot be used; the message says what, and what to do.",
    401: "The API key is missing or wrong.",
    404: "No such model.",
    408: "The body took too long.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "Something in a request with `texts` cannot be used.",
    424: "The model failed on a request with `texts`.",
    429: "The queue is full; Retry-After says when it will not be.",
    500: "The server failed.",
    503: "The server is loading, draining or stuck.",
    504: "The request was not done within its timeout.",
}


def answered(model: Any) -> dict[int | str, dict[str, Any]]:
    """Return what a route may answer, for its documentation."""
    failures: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorBody | TeiError, "description": text} for status, text in _FAILURES.items()
    }
    return {200: {"model": model, "description": "The answer."}, **failures}


def written(
    answer: BaseModel, headers: Mapping[str, str] | None = None, *, status: int = 200, with_nulls: bool = False
) -> Response:
    """Return an answer as JSON; nulls are left out unless a client needs them."""
    return Response(answer.model_dump_json(exclude_none=not with_nulls), status, headers, "application/json")


def complete(api: FastAPI) -> None:
    """Let an app's document also tell how to authenticate, and that the dialects of a route overlap."""

    def document() -> dict[str, Any]:
        if api.openapi_schema is None:
            made = get_openapi(title=api.title, version=api.version, description=api.description, routes=api.routes)
            made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            # With --api-key-file; without it no key is needed.
            made["security"] = [{}, {"key": []}]
            api.openapi_schema = _any_of(made)
        return api.openapi_schema

    api.openapi = document  # type: ignore[method-assign]  # FastAPI's own way of changing the document


def _any_of(part: Any) -> Any:
    """Return a part of the document with anyOf instead of oneOf: a body may be valid in several dialects."""
    if isinstance(part, dict):
        return {"anyOf" if key == "oneOf" else key: _any_of(value) for key, value in part.items()}
    return [_any_of(value) for value in part] if isinstance(part, list) else part
