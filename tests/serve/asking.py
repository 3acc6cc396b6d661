"""Asks an application without a network."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from starlette.types import ASGIApp

from onnxrank.serve.http.app import make_app
from onnxrank.serve.http.keys import KeyFile
from onnxrank.serve.http.settings import Settings
from tests.serve.fake import FakeScheduler


def app_of(scheduler: FakeScheduler, **settings: Any) -> ASGIApp:
    chosen = Settings(**settings)
    return make_app(scheduler.models, scheduler, chosen, KeyFile(chosen.api_keys) if chosen.api_keys else None)


def ask(
    app: ASGIApp,
    path: str,
    body: Any = None,
    *,
    content: bytes | None = None,
    headers: Mapping[str, str] | Mapping[bytes, bytes] | None = None,
    method: str | None = None,
) -> httpx.Response:
    """Return the answer to a POST of `body` as JSON or of `content`, or to a GET if there is neither."""

    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            sent = httpx.Headers({"content-type": "application/json"})
            sent.update(headers)
            verb = method or ("GET" if body is None and content is None else "POST")
            if content is not None:
                return await client.request(verb, path, content=content, headers=sent)
            return await client.request(verb, path, json=body, headers=sent)

    return asyncio.run(asking())
