"""The HTTP application: which route answers what."""

from collections.abc import Mapping

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

import onnxrank
from onnxrank.serve import about, logs, openapi, page, routes
from onnxrank.serve.answers import Served
from onnxrank.serve.body_limits import BodyLimits
from onnxrank.serve.failures import add_handlers
from onnxrank.serve.keys import KeyFile, RequireKey
from onnxrank.serve.metrics import Metrics
from onnxrank.serve.observation import Observed
from onnxrank.serve.scoring_backend import Backend, Model
from onnxrank.serve.settings import Settings


def make_app(
    models: Mapping[str, Model], scheduler: Backend, settings: Settings, keys: KeyFile | None = None
) -> ASGIApp:
    """Return the application; `scheduler` is started and ended by who runs it."""
    metrics = Metrics(scheduler, tei=settings.tei_metrics)
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
    return Observed(app, (metrics, logs.log_request))
