"""Records what is reported to progress bars."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from onnxrank.progress import Done


def recorded_progress(monkeypatch: pytest.MonkeyPatch, module: str) -> Counter[str]:
    """Return how much is reported from now on under each label of a module's bars, as far as its callers ask for bars;
    each bar must become full."""
    reported: Counter[str] = Counter()

    @contextmanager
    def recorded(label: str, total: int, show: bool | None = None) -> Iterator[Done]:
        counts: list[int] = []
        yield counts.append
        assert sum(counts) == total
        if show:
            reported[label] += total

    monkeypatch.setattr(f"{module}.progress", recorded)
    return reported
