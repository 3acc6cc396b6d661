"""Progress bars for work that takes more than two seconds; lines, on request, if standard error is not a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

# Shorter work ends before anyone could read a bar.
PATIENCE_SECONDS = 2.0
# Between two lines of a log.
LINE_SECONDS = 5.0

# done(n) reports that n more are done.
Done = Callable[[int], None]


@contextmanager
def progress(label: str, total: int, show: bool | None = None) -> Iterator[Done]:
    """Yield a function that reports how many more of `total` are done.

    show: True or False, or None for True if standard error is a terminal, where a bar appears after two seconds.
    Elsewhere, True writes a line every few seconds and one at the end.
    """
    if show or (show is None and sys.stderr.isatty()):
        with (_bar if sys.stderr.isatty() else _lines)(label, total) as done:
            yield done
    else:
        yield lambda count: None


@contextmanager
def _lines(label: str, total: int) -> Iterator[Done]:
    finished, began = 0, time.monotonic()
    shown_at = began

    def done(count: int) -> None:
        nonlocal finished, shown_at
        finished += count
        if finished == total or time.monotonic() - shown_at > LINE_SECONDS:
            shown_at = time.monotonic()
            left = _left(time.monotonic() - began, finished, total)
            sys.stderr.write(f"{label}: {finished:,} of {total:,}{left}\n")
            sys.stderr.flush()

    yield done


def _left(seconds: float, finished: int, total: int) -> str:
    """Return the estimate of what is left, which starts from what was measured."""
    if finished == total:
        return ""
    left = timedelta(seconds=round(seconds / finished * (total - finished)))
    return f", {left} left"


@contextmanager
def _bar(label: str, total: int) -> Iterator[Done]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, visible=False)
        start = time.monotonic()

        def done(count: int) -> None:
            bar.update(task, advance=count, visible=time.monotonic() - start > PATIENCE_SECONDS)

        yield done
