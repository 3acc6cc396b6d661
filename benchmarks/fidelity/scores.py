"""Scores of one engine, kept on disk, so that a rerun measures only what has changed."""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity.subject import Subject, hashed
from onnxrank.progress import progress

FOLDER = Path("build/fidelity/scores")
# Queries after which the scores so far are written.
EVERY = 25

# Scores [documents] of the query with this index.
Score = Callable[[int], Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One row of the results.

    settings: what is compared, for people. identity: what else its scores depend on, besides the settings, the
    checkpoint and the texts. megabytes: of the weights on disk. open(queries) starts the engine for these queries.
    """

    name: str
    settings: str
    megabytes: float
    open: Callable[[range], AbstractContextManager[Score]]
    identity: str = ""


def measured(subject: Subject, engine: Engine) -> NDArray[np.float32]:
    """Return the scores [queries, documents], of which those that are not kept yet are computed."""
    key = hashed(subject.identity, subject.texts_identity, engine.settings, engine.identity)
    name = re.sub(r"\W+", "-", engine.name.lower())
    path = FOLDER / subject.name / subject.texts / f"{name}-{key}.npy"
    rows: list[Sequence[float]] = list(np.load(path)) if path.exists() else []
    missing = range(len(rows), subject.queries)
    if missing:
        with (
            engine.open(missing) as score,
            progress(f"{subject.name}, {subject.texts}, {engine.name}", len(missing)) as done,
        ):
            for query in missing:
                rows.append(score(query))
                if len(rows) % EVERY == 0:
                    _write(path, rows)
                done(1)
        _write(path, rows)
    return np.array(rows[: subject.queries], np.float32)


def _write(path: Path, rows: Sequence[Sequence[float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npy")
    np.save(partial, np.array(rows, np.float32))
    partial.rename(path)
