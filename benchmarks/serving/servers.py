"""The servers that are compared, on one checkpoint: how they are started."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.engines import PEERS

START_SECONDS = 300.0
# What a score may differ by because int8 rounds an activation to the other side in another batch, and because other
# servers compute in float32.
BATCH_EFFECT, ROUNDING = 1e-3, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """command: with {port}. ready: the path that answers 200 when it is. tolerance: how far a score may be from
    `Reranker`'s; another request's scores are further."""

    command: tuple[str, ...]
    ready: str
    settings: str
    tolerance: float


def onnxrank(artifact: Path, variant: str, threads: int | None = None) -> Server:
    """threads: all cores by default."""
    command = [sys.executable, "-c", "from onnxrank.cli.app import main; main()", "serve", f"model={artifact}"]
    return Server(
        command=(
            *(*command, "--variant", variant, "--port", "{port}", "--timeout", "1200"),
            *(["--threads", str(threads)] if threads else []),
        ),
        ready="/health/ready",
        settings=f"{variant}, all cores",
        tolerance=BATCH_EFFECT,
    )


def infinity(checkpoint: Path) -> Server:
    options = ["--model-id", str(checkpoint), "--served-model-name", "model", "--engine", "torch", "--device", "cpu"]
    return Server(
        command=(str(PEERS / "infinity/bin/infinity_emb"), "v2", *options, "--port", "{port}"),
        ready="/health",
        settings="infinity-emb, torch, float32, its defaults",
        tolerance=ROUNDING,
    )


def sentence_transformers(checkpoint: Path) -> Server:
    return Server(
        command=(sys.executable, "-m", "benchmarks.peers.sentence_transformers_server", str(checkpoint), "{port}"),
        ready="/health",
        settings="FastAPI, CrossEncoder.rank in its thread pool, float32",
        tolerance=ROUNDING,
    )


@contextlib.contextmanager
def started(server: Server, log: Path) -> Iterator[tuple[str, int]]:
    """Run a server; yield its address and process id when it is ready. log: the file for what it prints."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    command = [part.replace("{port}", str(port)) for part in server.command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            _wait(f"{address}{server.ready}", process, log)
            yield address, process.pid
        finally:
            process.terminate()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start; see {log}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
