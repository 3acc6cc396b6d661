"""The routes that tell what is served, and how it is."""

import time

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

import onnxrank
from onnxrank.serve.dialects.openai import ModelCard, ModelList
from onnxrank.serve.dialects.tei import Label, Pooling, TeiInfo
from onnxrank.serve.http.answers import Served
from onnxrank.serve.http.openapi import answered, written
from onnxrank.serve.scheduling.scheduler import TOKENIZERS

router = APIRouter()

_STARTED = int(time.time())


class Health(BaseModel):
    """The state of the queue; `reason` says why no requests are taken."""

    status: str
    reason: str | None = None
    queued_requests: int = 0
    queued_tokens: int = 0
    running_requests: int = 0
    tokens_per_second: float | None = None


@router.get("/v1/models", responses=answered(ModelList), tags=["about"])
@router.get("/models", responses=answered(ModelList), tags=["about"])
async def models(request: Request) -> Response:
    """What is served."""
    cards = [
        ModelCard(id=name, created=_STARTED, kind=model.kind, variant=model.variant, max_model_len=model.max_length)
        for name, model in request.app.state.served.models.items()
    ]
    return written(ModelList(data=cards))


@router.get("/info", responses=answered(TeiInfo), tags=["about"])
async def info(request: Request) -> Response:
    """The first model, as TEI describes it."""
    served: Served = request.app.state.served
    name, model = next(iter(served.models.items()))
    # A client reads the kind of the model from the only key.
    kind: dict[str, Label | Pooling] = {"embedding": Pooling()} if model.kind == "embedder" else {"reranker": Label()}
    return written(
        TeiInfo(
            model_id=name,
            model_sha=model.identity,
            model_dtype=model.variant,
            model_type=kind,
            max_input_length=model.max_length,
            max_batch_tokens=model.max_length,
            max_client_batch_size=served.settings.max_documents,
            tokenization_workers=TOKENIZERS,
            version=onnxrank.__version__,
        ),
        with_nulls=True,
    )


@router.get("/health/live", responses=answered(Health), tags=["operations"])
async def live() -> Response:
    """200 while the process answers."""
    return written(Health(status="live"))


@router.get("/ping", responses=answered(Health), tags=["operations"])
@router.get("/health", responses=answered(Health), tags=["operations"])
@router.get("/health/ready", responses=answered(Health), tags=["operations"])
async def ready(request: Request) -> Response:
    """200 if requests are taken; 503 while loading, draining or stuck."""
    state = request.app.state.served.scheduler.state
    health = Health(
        status="ready" if state.ready else "unready",
        reason=state.reason,
        queued_requests=state.queued_requests,
        queued_tokens=state.queued_tokens,
        running_requests=state.running_requests,
        tokens_per_second=state.tokens_per_second,
    )
    return written(health, status=200 if state.ready else 503)


@router.get("/metrics", response_class=Response, tags=["operations"])
async def metrics(request: Request) -> Response:
    """Prometheus's text format."""
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
