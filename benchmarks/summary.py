"""Turns raw seconds into the reported figures: medians, speeds, ratios."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.engines import ENGINES, ORACLE, OURS
from benchmarks.rounds import Answer
from onnxrank.quality.fidelity import kendall_tau

# Multiply-adds of the body per token: the weights of all layers.
GIGA_OPERATIONS_PER_TOKEN = 2 * 0.4404


def tokens(request: Mapping[str, Any]) -> tuple[int, int]:
    """Return the number of tokens that cannot be cached before the request, and that of all whole prompts."""
    documents = sum(map(len, request["documents_ids"]))
    new_prefix = len(request["prefix"]) - request["instruction_tokens"]
    return documents + new_prefix, documents + len(request["prefix"]) * len(request["documents_ids"])


def summarize(
    request: Mapping[str, Any], answers: Mapping[str, Sequence[Answer]], int8_ceiling: float
) -> dict[str, Any]:
    """Return the figures of a request by engine; `answers` has the same rounds for each."""
    own, whole = tokens(request)
    reference = answers.get(ORACLE)
    engines: dict[str, Any] = {}
    for name, given in answers.items():
        seconds = [answer.seconds for answer in given]
        median = statistics.median(seconds)
        computed = own if ENGINES[name].shares_prefix else whole
        engines[name] = {
            "seconds": seconds,
            "median_seconds": median,
            "useful_gigaflops": own * GIGA_OPERATIONS_PER_TOKEN / median,
            "computed_gigaflops": computed * GIGA_OPERATIONS_PER_TOKEN / median,
        }
        if OURS in answers:
            engines[name]["times_ours"] = paired_ratio(given, answers[OURS])
        if reference:
            expected, found = (np.array(scored[0].scores, np.float32) for scored in (reference, given))
            engines[name]["kendall_tau"] = kendall_tau(expected, found)
    floor = own * GIGA_OPERATIONS_PER_TOKEN / int8_ceiling
    summary = {"tokens": own, "prompt_tokens": whole, "floor_seconds": floor, "engines": engines}
    for figures in engines.values():
        figures["times_floor"] = figures["median_seconds"] / floor
    return summary


def paired_ratio(slower: Sequence[Answer], faster: Sequence[Answer]) -> float:
    """Return the median over rounds of the ratio within a round, where both ran under similar conditions."""
    return statistics.median(a.seconds / b.seconds for a, b in zip(slower, faster, strict=True))
