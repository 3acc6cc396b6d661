"""The HTTP application: which route answers what."""

from collections.abc import Mapping

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import onnxrank
from onnxrank.serve.http import about, openapi, page, routes
from onnxrank.serve.http.answers import Served
from onnxrank.serve.http.backend import Backend, Model
from onnxrank.serve.http.body_limits import BodyLimits
from onnxrank.serve.http.failures import add_handlers
from onnxrank.serve.http.keys import KeyFile, RequireKey
from onnxrank.serve.http.settings import Settings
from onnxrank.serve.observation.facts import Observed
from onnxrank.serve.observation.logs import log_request
from onnxrank.serve.observation.metrics import Metrics


def make_app(
    models: Mapping[str, Model], scheduler: Backend, settings: Settings, keys: KeyFile | None = None
) -> ASGIApp:
    """Return the application; `scheduler` is started and ended by who runs it."""
    metrics = Metrics(lambda: scheduler.state, tei=settings.tei_metrics)
    scheduler.observe = metrics.rounds
    api = FastAPI(
        title="onnxrank",
        version=onnxrank.__version__,
        description=openapi.DESCRIPTION,
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    api.state.served = Served(models=models, scheduler=scheduler, settings=settings)
    api.state.metrics = metrics
    for router in (routes.router, about.router, page.router):
        api.include_router(router)
    add_handlers(api)
    openapi.complete(api)
    # Pure ASGI: Starlette's BaseHTTPMiddleware hides that a client has gone. The last is the outermost.
    app: ASGIApp = BodyLimits(api, settings.max_body, settings.read_timeout)
    if keys:
        app = RequireKey(app, keys)
    if settings.cors:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
            expose_headers=["Retry-After", "X-Request-Id"],
        )
    return Observed(app, (metrics, log_request))
