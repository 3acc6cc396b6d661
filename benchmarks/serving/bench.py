"""`make bench-serve`: `onnxrank serve` under load, beside other servers: `python -m benchmarks.serving.bench --quick`.

Writes build/bench-serve/results.json and results.md. Needs apt for the texts, and an idle machine. The long form of the
memory test, more than 50,000 requests: `--minutes 20 --only memory --artifact artifacts/demo`.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from benchmarks import machine
from benchmarks.demo.texts import Pair
from benchmarks.fidelity.checkpoints import checkpoint
from benchmarks.fidelity.packages import descriptions
from benchmarks.preparation import install, stale
from benchmarks.serving import report, servers
from benchmarks.serving.load import Level, ask_all
from benchmarks.serving.neighbours import compare_beside
from benchmarks.serving.servers import Server, started
from benchmarks.serving.soak import soak
from benchmarks.serving.workload import Alone, Request, draw, score_alone
from onnxrank import Reranker
from onnxrank.artifact.manifest import read_manifest
from onnxrank.cli.console import say, warn

OUT = Path("build/bench-serve")
ARTIFACT = OUT / "encoder"
PARTS = ("load", "beside", "memory")
# Requests of the memory test, which are sent over and over; of those that `Reranker` scores again at the end.
SOAKED, AGAIN = 300, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """requests: by how many are sent at a time. peers: how many of these levels other servers get. documents: fewest
    and most of a request. large: documents of the request beside small ones. repeats: small requests."""

    requests: dict[int, int]
    peers: int
    documents: tuple[int, int]
    large: int
    repeats: int


FULL = Size(requests={1: 8, 8: 32, 64: 64, 512: 512}, peers=2, documents=(5, 500), large=1000, repeats=200)
QUICK = Size(requests={1: 4, 8: 16, 64: 64}, peers=2, documents=(5, 50), large=200, repeats=30)


def main(
    quick: Annotated[bool, typer.Option(help="Fewer and smaller requests: minutes.")] = False,
    variant: Annotated[str, typer.Option(help="Ours; fp32 is what the other servers compute.")] = "int8",
    minutes: Annotated[float, typer.Option(help="Of the memory test.")] = 1.0,
    only: Annotated[list[str] | None, typer.Option(help=f"Only these parts: {', '.join(PARTS)}.")] = None,
    peers: Annotated[bool, typer.Option(help="Install and measure other servers, too.")] = True,
    artifact: Annotated[Path | None, typer.Option(help="Ours, instead of the encoder; without other servers.")] = None,
) -> None:
    """Run all parts and write the results."""
    size = QUICK if quick else FULL
    parts = only or PARTS
    found: dict[str, Server] = {}
    if artifact is None:
        artifact, folder = ARTIFACT, checkpoint("encoder")
        _export(folder, variant)
        found = _others(folder) if peers and "load" in parts else {}
    texts = descriptions()
    names = {"artifact": artifact.name, "variant": variant}
    results: dict[str, Any] = {"machine": machine.describe(), "quick": quick, **names}
    ours = servers.onnxrank(artifact, variant)
    if "load" in parts:
        opened = partial(Reranker, artifact, variant=variant)
        results["load"] = _load({f"onnxrank {variant}": ours, **found}, texts, size, opened)
        _write(results)
    with started(ours, OUT / "onnxrank.log") as (address, process):
        reranker = Reranker(artifact, variant=variant)
        if "beside" in parts:
            results["beside"] = _beside(reranker, f"{address}/rerank", texts, size)
            _write(results)
        if "memory" in parts:
            requests = draw(texts, SOAKED, (1, 3), seed=2)
            alone = score_alone(reranker, requests)
            watched = psutil.Process(process)
            found_ = asyncio.run(soak(f"{address}/rerank", watched, requests, alone.expected, minutes))
            results["memory"] = report.of_soak(found_)
            _write(results)


def _load(
    found: dict[str, Server], texts: Sequence[Pair], size: Size, opened: Callable[[], Reranker]
) -> dict[str, Any]:
    """Send every level to every server; before and after, `Reranker` scores the same requests without a server."""
    requests = draw(texts, max(size.requests.values()), size.documents)
    alone = _alone(requests, opened)
    answered: dict[str, list[Level]] = {}
    for i, (name, server) in enumerate(found.items()):
        levels = list(size.requests.items())[: size.peers if i else None]
        with started(server, OUT / f"{name}.log".replace(" ", "-")) as (address, _):
            _warm_up(f"{address}/rerank", requests[0], alone)
            answered[name] = [
                asyncio.run(
                    ask_all(
                        f"{address}/rerank",
                        requests[:count],
                        alone.expected[:count],
                        concurrency=concurrency,
                        tolerance=server.tolerance,
                    )
                )
                for concurrency, count in levels
            ]
        for level in answered[name]:
            warn(f"{name}, {level.concurrency} at a time: {level.tokens_per_second:.0f} tokens/s")
    again = _alone(requests[:AGAIN], opened)
    return {
        "requests": len(requests),
        "documents": size.documents,
        "alone": [alone.tokens_per_second, again.tokens_per_second],
        "servers": {
            name: {"settings": found[name].settings, "levels": [report.of_level(level) for level in levels]}
            for name, levels in answered.items()
        },
    }


def _warm_up(url: str, request: Request, alone: Alone) -> None:
    """Let a server compile and fill its caches, as `score_alone` lets `Reranker`."""
    asyncio.run(ask_all(url, [request], alone.expected[:1], concurrency=1, tolerance=1.0))


def _alone(requests: Sequence[Request], opened: Callable[[], Reranker]) -> Alone:
    with opened() as reranker:
        return score_alone(reranker, requests)


def _beside(reranker: Reranker, url: str, texts: Sequence[Pair], size: Size) -> dict[str, Any]:
    (small,) = draw(texts, 1, (8, 8), seed=1)
    (large,) = draw(texts, 1, (size.large, size.large), seed=3)
    (expected,) = score_alone(reranker, [small]).expected
    found = asyncio.run(compare_beside(url, small, expected, large, size.repeats))
    return {"large": size.large, **report.of_beside(found)}


def _others(checkpoint_: Path) -> dict[str, Server]:
    install("infinity")
    return {
        "infinity-emb": servers.infinity(checkpoint_),
        "sentence-transformers": servers.sentence_transformers(checkpoint_),
    }


def _export(folder: Path, variant: str) -> None:
    """Export unless nothing has changed since."""
    OUT.mkdir(parents=True, exist_ok=True)
    if stale(ARTIFACT) or variant not in read_manifest(ARTIFACT).variants:
        command = "from onnxrank.export.main import main; main()"
        arguments = [str(folder), "--out", str(ARTIFACT), "--force", f"--{variant}", "--accept-loss"]
        subprocess.run([sys.executable, "-c", command, *arguments], check=True, stdout=sys.stderr)


def _write(results: dict[str, Any]) -> None:
    """Write the results so far, so that an interrupted run keeps them."""
    (OUT / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    (OUT / "results.md").write_text(report.markdown(results), encoding="utf-8")
    say(f"wrote {OUT}/results.json and results.md")


if __name__ == "__main__":
    typer.run(main)
