"""Sweeps: how time grows with documents, with their tokens, and with the length of one text."""

from collections.abc import Mapping
from typing import Any

from benchmarks.rounds import Worker
from benchmarks.summary import tokens
from benchmarks.workloads import LONG_DOCUMENT, W1, W2
from onnxrank.cli.console import warn

DOCUMENTS = (10, 30, 100, 300, 1000)
TOKENS = (16, 32, 64, 128, 256, 512)
CONTEXT = (256, 512, 1024, 2048, 4096, 8192)
PROMPT_TOKENS = 8192 - LONG_DOCUMENT
# By name of a sweep: its requests by the value that grows.
Sweeps = Mapping[str, Mapping[int, str]]


def sizes(quick: bool) -> tuple[dict[str, tuple[int, int]], Sweeps]:
    """Return requests (documents and tokens of each) by name, and the sweeps that consist of them."""
    count = 3 if quick else None
    requests: dict[str, tuple[int, int]] = {}
    sweeps: dict[str, dict[int, str]] = {}
    for sweep, values in (("documents", DOCUMENTS), ("tokens", TOKENS), ("context", CONTEXT)):
        sweeps[sweep] = {value: f"{sweep} {value}" for value in values[:count]}
        for value, name in sweeps[sweep].items():
            size = {"documents": (value, W1[1]), "tokens": (W2[0], value), "context": (1, value - PROMPT_TOKENS)}
            requests[name] = size[sweep]
    return requests, sweeps


def sweep(
    workers: Mapping[str, Worker], sweeps: Sweeps, requests: Mapping[str, Any], *, patience: float
) -> dict[str, Any]:
    """Return the seconds by sweep, engine and value. A peer's sweep ends before a request that would take it more than
    `patience` seconds at the speed of the last one."""
    found: dict[str, Any] = {}
    for name, steps in sweeps.items():
        found[name] = {engine: {} for engine in workers}
        for engine, worker in workers.items():
            per_token = 0.0
            # A first request, so that everything created at first use exists.
            worker.ask(next(iter(steps.values())))
            for value, request in steps.items():
                count = tokens(requests[request])[1]
                if per_token * count > patience and not engine.startswith("onnxrank"):
                    break
                seconds = worker.ask(request).seconds
                warn(f"{request}, {engine}: {seconds:.2f} s")
                per_token = seconds / count
                found[name][engine][str(value)] = seconds
    return found
