"""Runs rounds in the scoring threads, and notes how it went."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from onnxrank.serve.model.work import Model, Result, Unit, read_all

_LOG = logging.getLogger("onnxrank.serve")

# Rounds of the smallest size in the run that measures the speed.
MEASURED_ROUNDS = 2


def run_each(model: Model, units: Sequence[Unit[Any]]) -> list[Result | Exception]:
    """Return the result of each unit, or why it has none: if a run fails, its halves run again, until those are found
    that fail alone."""
    try:
        return list(model.run(units))
    except Exception as error:
        if len(units) == 1:
            _LOG.exception("%s failed on a text of %d tokens", model.name, units[0].cost)
            return [error]
    half = len(units) // 2
    return [*run_each(model, units[:half]), *run_each(model, units[half:])]


def measured_start(model: Model) -> tuple[int, float]:
    """Load and check a model, then run a part of its sample; return its tokens and seconds. Raises ArtifactError."""
    model.check()
    units: list[Unit[Any]] = []
    tokens = 0
    for unit in read_all(model.sample()).units:
        if tokens >= MEASURED_ROUNDS * model.round_tokens:
            break
        units.append(unit)
        tokens += unit.cost
    # These make what later runs find: a session for one batch on all cores, one for a batch on each core, prefixes.
    model.run(units[:1])
    model.run(units)
    start = time.monotonic()
    model.run(units)
    return tokens, time.monotonic() - start
