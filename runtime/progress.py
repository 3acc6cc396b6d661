"""Progress bars for work that takes more than two seconds; none if standard error is not a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Shorter work ends before anyone could read a bar.
PATIENCE_SECONDS = 2.0

# done(n) reports that n more are done.
Done = Callable[[int], None]


@contextmanager
def progress(label: str, total: int, show: bool | None = None) -> Iterator[Done]:
    """Yield a function that reports how many more of `total` are done.

    show: True or False, or None to show a bar if standard error is a terminal. A bar appears after two seconds.
    """
    if show is None:
        show = sys.stderr.isatty()
    if not show:
        yield lambda count: None
        return

    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, visible=False)
        start = time.monotonic()

        def done(count: int) -> None:
            bar.update(task, advance=count, visible=time.monotonic() - start > PATIENCE_SECONDS)

        yield done
