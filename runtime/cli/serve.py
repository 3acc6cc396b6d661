"""`onnxrank serve`: ranks over HTTP, for the clients of other rerank services."""

from pathlib import Path
from typing import Annotated

import typer

from onnxrank.cli.console import misused, warn
from onnxrank.cli.options import VariantOption
from onnxrank.errors import BackendError, InputError

# Every option is also the variable ONNXRANK_ and its name, which is what containers are given.
CONTEXT = {"auto_envvar_prefix": "ONNXRANK"}
MEBIBYTE = 1 << 20


def serve(
    artifacts: Annotated[
        list[str],
        typer.Argument(
            envvar="ONNXRANK_ARTIFACTS",
            help="Folders that export-model wrote, or hub ids; NAME=FOLDER names one for its clients.",
        ),
    ],
    variant: VariantOption = None,
    host: Annotated[str, typer.Option(help="Address to listen to; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free port.")] = 8080,
    uds: Annotated[Path | None, typer.Option(help="Listen to a Unix socket instead of host and port.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU cores to use; all by default.")] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with a key a line; requests need one of them.")
    ] = None,
    cors: Annotated[list[str] | None, typer.Option(help="Origin whose pages may ask; may be repeated.")] = None,
    max_queue_tokens: Annotated[int, typer.Option(min=1, help="Tokens that may wait; more get a 429.")] = 4_000_000,
    max_documents: Annotated[int, typer.Option(min=1, help="Documents of one request.")] = 10_000,
    max_body: Annotated[int, typer.Option(min=1, help="MiB of one request's body.")] = 32,
    score_cache: Annotated[int, typer.Option(min=0, help="MiB for known scores; 0 for no cache.")] = 0,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds that a request may take.")] = 60.0,
    drain: Annotated[float, typer.Option(min=0.0, help="Seconds to finish requests in after SIGTERM.")] = 30.0,
    log_json: Annotated[bool, typer.Option("--log-json", help="Logs as JSON, a line a request.")] = False,
    tei_metrics: Annotated[bool, typer.Option("--tei-metrics", help="Metrics by TEI's names, too.")] = False,
    workers: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve rerankers, ColBERT models and embedders over HTTP, to this machine only unless told otherwise.

    `onnxrank serve artifacts/demo`

    `onnxrank serve fast=artifacts/demo good=artifacts/qwen3-reranker --host 0.0.0.0 --api-key-file keys.txt`
    """
    if workers is not None:
        raise misused(
            "--workers is not for this server: each worker would hold the weights and a queue of its own, and they "
            "would compete for the same cores. One process uses all cores (--threads); for more machines, run one "
            "server on each behind a load balancer."
        )
    try:
        from onnxrank.serve.http.server import run
        from onnxrank.serve.http.settings import Settings
        from onnxrank.serve.model.served_model import ServedModel
        from onnxrank.serve.observation import logs
        from onnxrank.serve.scheduling.limits import Limits
        from onnxrank.serve.scheduling.scheduler import Scheduler
    except ModuleNotFoundError as error:
        raise BackendError(
            f"the server needs {error.name}, which is not installed: `pip install onnxrank[serve,cpu]`."
        ) from error
    models: dict[str, ServedModel] = {}
    for given in artifacts:
        name, source = _named(given)
        model = ServedModel(source, name=name, variant=variant, threads=threads)
        if model.name in models:
            raise InputError(f"two models are called {model.name!r}; name them, as in first={source}.")
        models[model.name] = model
    limits = Limits(max_documents=max_documents, max_queue_tokens=max_queue_tokens, cache_bytes=score_cache * MEBIBYTE)
    settings = Settings(
        host=host,
        port=port,
        uds=uds,
        api_keys=api_key_file,
        cors=tuple(cors or ()),
        max_documents=max_documents,
        max_body=max_body * MEBIBYTE,
        timeout=timeout,
        drain=drain,
        tei_metrics=tei_metrics,
    )
    logs.set_up(as_json=log_json)
    served = ", ".join(f"{name} ({model.variant})" for name, model in models.items())
    run(models, Scheduler(models, limits), settings, lambda address: warn(f"serving {served} at {address}"))


def _named(given: str) -> tuple[str | None, str]:
    """Return the name and the source of NAME=SOURCE, or no name if it is a source alone."""
    name, equals, source = given.partition("=")
    return (name, source) if equals and name and not Path(given).exists() else (None, given)
