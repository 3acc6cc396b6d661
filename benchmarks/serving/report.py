"""The results as JSON and as Markdown."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.report import table
from benchmarks.serving.load import Level
from benchmarks.serving.neighbours import Beside
from benchmarks.serving.soak import Soak


def of_level(level: Level) -> dict[str, Any]:
    return {
        "concurrency": level.concurrency,
        "requests": len(level.latencies),
        "seconds": level.seconds,
        "p50": level.percentile(50),
        "p99": level.percentile(99),
        "tokens_per_second": level.tokens_per_second,
        "wrong": list(level.wrong),
        "largest_difference": level.worst,
    }


def of_beside(found: Beside) -> dict[str, Any]:
    times = {"alone": found.alone, "beside": found.beside}
    percentiles = {name: [float(np.percentile(seconds, p)) for p in (50, 99)] for name, seconds in times.items()}
    return {**percentiles, "ratio": found.ratio, "requests": len(found.alone), "wrong": list(found.wrong)}


def of_soak(found: Soak) -> dict[str, Any]:
    return {
        "requests": found.requests,
        "seconds": found.seconds,
        "growth": found.growth,
        "megabytes": list(found.megabytes),
        "wrong": list(found.wrong),
    }


def markdown(results: Mapping[str, Any]) -> str:
    """Return a page with a table for each part that was run."""
    machine = results["machine"]
    parts = [
        "# Servers" + (" (quick)" if results["quick"] else ""),
        f"{machine['cores']} cores of {machine['processor']}, ONNX Runtime {machine['onnxruntime']}, PyTorch "
        f"{machine['torch']}; {results['artifact']}, {results['variant']}; Debian's package descriptions. The client "
        "runs on the same cores.",
    ]
    writers = {"load": _load, "beside": _beside, "memory": _memory}
    parts += [write(results[name]) for name, write in writers.items() if name in results]
    return "\n\n".join(parts) + "\n"


def _load(found: Mapping[str, Any]) -> str:
    before, after = found["alone"]
    alone = (before + after) / 2
    rows = [
        [
            name,
            str(level["concurrency"]),
            str(level["requests"]),
            f"{level['p50']:.2f}",
            f"{level['p99']:.2f}",
            f"{level['tokens_per_second']:,.0f}",
            f"{level['tokens_per_second'] / alone:.0%}",
            f"{level['largest_difference']:.1g}",
            str(len(level["wrong"])),
        ]
        for name, server in found["servers"].items()
        for level in server["levels"]
    ]
    fewest, most = found["documents"]
    columns = ["server", "at a time", "requests", "p50, s", "p99, s", "tokens/s", "of Reranker's"]
    columns += ["largest difference", "wrong answers"]
    return (
        f"Requests of {fewest} to {most} documents. `Reranker` alone: {before:,.0f} tokens/s before, {after:,.0f} "
        f"after.\n\n{table(columns, rows)}"
    )


def _beside(found: Mapping[str, Any]) -> str:
    rows = [[name, *(f"{1000 * seconds:.0f}" for seconds in found[name])] for name in ("alone", "beside")]
    return (
        f"A request of 8 documents, alone and beside requests of {found['large']}: {found['ratio']:.1f} times as long "
        f"at the 99th percentile ({found['requests']} requests, {len(found['wrong'])} wrong answers).\n\n"
        f"{table(['', 'p50, ms', 'p99, ms'], rows)}"
    )


def _memory(found: Mapping[str, Any]) -> str:
    return (
        f"{found['requests']:,} requests in {found['seconds'] / 60:.1f} minutes: the server's memory went from "
        f"{found['megabytes'][0]:.0f} to {found['megabytes'][-1]:.0f} MB, {found['growth']:+.1%} from the second "
        f"quarter to the last; {len(found['wrong'])} wrong answers."
    )
