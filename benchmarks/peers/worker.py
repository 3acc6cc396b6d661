"""The worker's side of a comparison: one process per engine, which loads once and scores one request per line.

It uses only the standard library, because it runs in every peer's environment.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Scores of a request (see workloads.py), in the order of its documents.
Score = Callable[[dict[str, Any]], list[float]]


def serve(load: Callable[[], Score], workloads: Path) -> None:
    """Load, then answer lines that name a request with its seconds, its scores and the peak memory so far, as JSON."""
    # Libraries print to file descriptor 1, so the answers use another one.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        score = load()
        requests = json.loads(workloads.read_text(encoding="utf-8"))
        for line in sys.stdin:
            request = requests[line.strip()]
            start = time.perf_counter()
            scores = score(request)
            seconds = time.perf_counter() - start
            # ru_maxrss is in kilobytes on Linux.
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            answers.write(json.dumps({"seconds": seconds, "scores": scores, "peak_megabytes": round(peak)}) + "\n")
            answers.flush()


def prompts(request: dict[str, Any]) -> list[list[int]]:
    """Return the token ids of each document's whole prompt."""
    return [request["prefix"] + ids for ids in request["documents_ids"]]


def batches(lengths: list[int], budget: int, rows: int | None = None) -> list[list[int]]:
    """Group indices, longest first, so that rows x longest row is at most `budget` or the group has one row. A group
    has at most `rows` rows."""
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        last = groups[-1] if groups else []
        if last and (len(last) + 1) * lengths[last[0]] <= budget and len(last) != rows:
            last.append(i)
        else:
            groups.append([i])
    return groups
