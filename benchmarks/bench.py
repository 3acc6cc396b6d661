"""`make bench`: compares our artifacts with other engines on the same requests: `python -m benchmarks.bench --quick`.

Writes build/bench/results.json, results.md and plots. Needs the tokenizers that `make` fetches, and an idle machine.
"""

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import encoder_requests, growth, machine, plots, report
from benchmarks.engines import ARTIFACT, CEILINGS, ENGINES, Engine
from benchmarks.full_size import TOKENIZER
from benchmarks.preparation import prepare
from benchmarks.rounds import Answer, Worker, all_started, in_turns, started
from benchmarks.summary import summarize
from benchmarks.workloads import LONG_DOCUMENT, W1, W2, W3, write_workloads
from onnxrank.artifact.manifest import read_manifest
from onnxrank.cli.console import say, warn

OUT = Path("build/bench")
WORKLOADS = OUT / "workloads.json"
# The start time includes this request's score, because engines compile and fill caches at the first request.
FIRST = {"first": (2, 24)}
REQUESTS = {"W1": W1, "W2": W2, "W3": W3}
QUICK = {"W1, 20 documents": (20, 24), "W2, 6 documents": (6, 120)}
LONG, QUICK_LONG = (1, LONG_DOCUMENT), (1, 2048)
# The longest time, in seconds, that a peer may take for a request of a sweep.
PATIENCE, QUICK_PATIENCE = 40.0, 5.0


def main(
    quick: Annotated[bool, typer.Option(help="Fewer and shorter requests: ten minutes.")] = False,
    engine: Annotated[list[str] | None, typer.Option(help="Only these engines; may be repeated.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds; the median counts. By default 3, with --quick 2.")] = None,
    prepare_only: Annotated[bool, typer.Option(help="Only install and convert.")] = False,
) -> None:
    """Run all requests on all engines and write the results."""
    OUT.mkdir(parents=True, exist_ok=True)
    names = engine or list(ENGINES)
    prepare(ENGINES[name] for name in names)
    if prepare_only:
        return
    sweep_requests, sweeps = growth.sizes(quick)
    requests = QUICK if quick else REQUESTS
    sizes = {**FIRST, **requests, **sweep_requests, "W4": QUICK_LONG if quick else LONG}
    scoring = read_manifest(ARTIFACT).scoring
    assert scoring.prompt
    write_workloads(WORKLOADS, sizes, TOKENIZER, scoring.prompt)
    bodies = json.loads(WORKLOADS.read_text(encoding="utf-8"))

    rounds = rounds or (2 if quick else 3)
    results: dict[str, Any] = {"machine": machine.describe(), "quick": quick, "rounds": rounds}
    with all_started({name: ENGINES[name] for name in names}, WORKLOADS) as workers:
        live = {name: worker for name, (worker, _) in workers.items()}
        with started("ceilings", CEILINGS, WORKLOADS) as (ceilings, _):
            answers, results["ceilings"] = _compare(live, ceilings, list(requests), rounds)
        results["engines"] = {
            name: _describe(ENGINES[name])
            | {"seconds_to_first_score": seconds, "peak_megabytes": _peak(answers[name].values())}
            for name, (_, seconds) in workers.items()
        }
        int8 = statistics.median(results["ceilings"]["int8"])
        results["requests"] = {
            request: summarize(bodies[request], {name: answers[name][request] for name in names}, int8)
            for request in requests
        }
        _write(results)
        growing = {name: worker for name, worker in live.items() if ENGINES[name].growth}
        results["growth"] = growth.sweep(growing, sweeps, bodies, patience=QUICK_PATIENCE if quick else PATIENCE)
    _write(results)
    results["long"] = {
        name: _alone(name) for name in names if name.startswith("onnxrank") or (ENGINES[name].growth and not quick)
    }
    results["maxsim"] = encoder_requests.maxsim(2_000 if quick else 10_000, rounds)
    _write(results)
    if not quick:
        results["encoding"] = encoder_requests.late_interaction(rounds)
        _write(results)
        results["exits"] = encoder_requests.exits(rounds)
        _write(results)


def _compare(
    workers: dict[str, Worker], ceilings: Worker, requests: list[str], rounds: int
) -> tuple[dict[str, dict[str, list[Answer]]], dict[str, list[float]]]:
    """Return answers by engine and request, and the matmul ceilings of each round."""
    answers: dict[str, dict[str, list[Answer]]] = {name: {request: [] for request in requests} for name in workers}
    measured: dict[str, list[float]] = {"int8": [], "fp32": []}
    for round_ in range(rounds):
        for request in requests:
            for kind, value in zip(measured, ceilings.ask("first").scores, strict=True):
                measured[kind].append(value)
            for name in in_turns(list(workers), round_):
                answer = workers[name].ask(request)
                answers[name][request].append(answer)
                warn(f"round {round_ + 1}, {request}, {name}: {answer.seconds:.2f} s")
    return answers, measured


def _peak(answers: Iterable[Sequence[Answer]]) -> int:
    return max(given[-1].peak_megabytes for given in answers)


def _alone(name: str) -> dict[str, float]:
    """Score the long document in a fresh process."""
    with started(name, ENGINES[name], WORKLOADS) as (worker, _):
        before = worker.ask("first").peak_megabytes
        answer = worker.ask("W4")
    warn(f"W4, {name}: {answer.seconds:.2f} s")
    return {"seconds": answer.seconds, "peak_megabytes": answer.peak_megabytes, "peak_megabytes_before": before}


def _describe(engine: Engine) -> dict[str, Any]:
    sizes = [file.stat().st_size for path in engine.weights for file in path.parent.glob(path.name)]
    return {"settings": engine.settings, "weights_megabytes": round(sum(sizes) / 1e6, 1)}


def _write(results: dict[str, Any]) -> None:
    """Write the results so far, so that an interrupted run keeps them."""
    (OUT / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False), encoding="utf-8")
    (OUT / "results.md").write_text(report.markdown(results), encoding="utf-8")
    plots.draw(results, OUT)
    say(f"wrote {OUT}/results.json, results.md and plots")


if __name__ == "__main__":
    typer.run(main)
