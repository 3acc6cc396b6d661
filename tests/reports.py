"""Records what is reported to progress bars."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from onnxrank.progress import Done


def recorded_progress(monkeypatch: pytest.MonkeyPatch, module: str) -> Counter[str]:
    """Return how much was reported under each label of a module's bars, from now on; each bar must become full."""
    reported: Counter[str] = Counter()

    @contextmanager
    def recorded(label: str, total: int, show: bool | None = None) -> Iterator[Done]:
        before = reported[label]
        yield lambda count: reported.update({label: count})
        assert reported[label] - before == total

    monkeypatch.setattr(f"{module}.progress", recorded)
    return reported
