"""`make fidelity`: how well our variants, and other engines, keep the ranking that PyTorch gives trained checkpoints.

Writes build/fidelity/results.json, results.md and plots: `python -m benchmarks.fidelity.bench --queries 200`.
"""

import json
import shlex
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from transformers.utils import logging

from benchmarks.fidelity import artifacts, llama_cpp, plots, pytorch, report
from benchmarks.fidelity.checkpoints import MAKERS
from benchmarks.fidelity.measures import figures, merged, spread
from benchmarks.fidelity.scores import Engine, measured
from benchmarks.fidelity.subject import Subject
from benchmarks.fidelity.texts import QUERIES
from onnxrank.cli.console import say, warn

OUT, DOCS = Path("build/fidelity"), Path("docs")
NAMES = (*pytorch.NAMES, *artifacts.NAMES, *llama_cpp.NAMES)


def main(
    checkpoint: Annotated[list[str] | None, typer.Option(help=f"Only these: {', '.join(MAKERS)}.")] = None,
    texts: Annotated[list[str] | None, typer.Option(help=f"Only these held-out sets: {', '.join(QUERIES)}.")] = None,
    queries: Annotated[int | None, typer.Option(min=1, help="Only the first queries of each set.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help=f"Only these: {'; '.join(NAMES)}.")] = None,
    export: Annotated[str, typer.Option(help='Options of our export: "--method hqq".')] = "",
    docs: Annotated[bool, typer.Option(help="Also write tables and plots into docs/.")] = False,
) -> None:
    """Score the held-out sets with all engines, as far as their scores are not kept yet, and compare."""
    # Loading takes a second, and needs no bar.
    logging.disable_progress_bar()
    _choose("--checkpoint", checkpoint, MAKERS)
    _choose("--texts", texts, QUERIES)
    _choose("--engine", engine, NAMES)
    for name in checkpoint or MAKERS:
        for chosen in texts or QUERIES:
            subject = Subject(name, chosen, min(queries or QUERIES[chosen], QUERIES[chosen]))
            _measure(subject, engine or NAMES, shlex.split(export))
    if docs:
        results = _results()
        text = f"{plots.LINKS}\n\n{report.markdown(results)}\n{report.settings(results)}"
        report.write_into(DOCS / "fidelity.md", text)
        plots.draw(results, DOCS)


def _measure(subject: Subject, names: Container[str], options: list[str]) -> None:
    """Write a subject's rows into the results, one by one, so that an interrupted run keeps them."""
    expected = None
    for engine in _engines(subject, names, options):
        found = measured(subject, engine)
        expected = found if expected is None else expected
        row = figures(subject, engine, expected, found)
        section = {
            "checkpoint": subject.identity,
            "texts": subject.texts_identity,
            "queries": subject.queries,
            "documents": expected.shape[1],
            "spread": spread(expected),
            "engines": {engine.name: row},
        }
        results = merged(_results(), subject.name, subject.texts, section)
        (OUT / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        (OUT / "results.md").write_text(f"{report.markdown(results)}\n{report.settings(results)}", encoding="utf-8")
        warn(f"{subject.name}, {subject.texts}, {engine.name}: noise {row['noise']['mean']:.4f}")
    plots.draw(_results(), OUT)
    say(f"wrote {OUT}/results.json, results.md and plots")


def _engines(subject: Subject, names: Container[str], options: list[str]) -> Iterator[Engine]:
    """Yield the reference first."""
    yield from pytorch.engines(subject, names)
    yield from artifacts.engines(subject, names, options)
    yield from llama_cpp.engines(subject, names)


def _results() -> dict[str, Any]:
    path = OUT / "results.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _choose(option: str, given: list[str] | None, choices: Iterable[str]) -> None:
    for value in given or ():
        if value not in choices:
            raise typer.BadParameter(f"{value!r} is unknown; choose from {', '.join(choices)}.", param_hint=option)


if __name__ == "__main__":
    typer.run(main)
