"""Runs requests on several workers in turns, so that a busy moment affects all of them alike."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.engines import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A worker's answer to one request (see peers/worker.py)."""

    seconds: float
    scores: list[float]
    peak_megabytes: int


class Worker:
    """A process that has loaded one engine."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str], log: IO[bytes]) -> None:
        self._command = command
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **variables},
        )

    def ask(self, workload: str) -> Answer:
        """Raises RuntimeError if the worker has ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin and stdout
        stdin.write(workload + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(
                f"{' '.join(self._command)} ended with {self._process.wait()}; see the logs next to the workloads."
            )
        return Answer(**json.loads(line))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def started(name: str, engine: Engine, workloads: Path) -> Iterator[tuple[Worker, float]]:
    """Start an engine's worker; also yield the seconds from its start to its score of the request "first"."""
    logs = workloads.parent / "logs"
    logs.mkdir(exist_ok=True)
    with (logs / f"{name}.log").open("wb") as log:
        start = time.perf_counter()
        worker = Worker(engine.command(workloads), engine.variables, log)
        try:
            worker.ask("first")
            yield worker, time.perf_counter() - start
        finally:
            worker.close()


@contextmanager
def all_started(engines: Mapping[str, Engine], workloads: Path) -> Iterator[dict[str, tuple[Worker, float]]]:
    """Start several, one after the other."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(started(name, engine, workloads)) for name, engine in engines.items()}


def in_turns(names: Sequence[str], round_: int) -> list[str]:
    """Return names in another order in each round, because a long run heats the machine for the next engine."""
    turn = round_ % len(names)
    return [*names[turn:], *names[:turn]]
