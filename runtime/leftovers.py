"""What must not stay behind when a process ends in the middle of its work: half-written folders, helper processes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_pending: dict[object, Callable[[], object]] = {}


@contextmanager
def cleaned_up(clean: Callable[[], object]) -> Iterator[None]:
    """Call `clean` at the end of the block, and in `clean_up` if the process is ended inside it."""
    key = object()
    _pending[key] = clean
    try:
        yield
    finally:
        clean()
        del _pending[key]


def clean_up_at_the_end(clean: Callable[[], object]) -> None:
    """Call `clean` in `clean_up`; at a normal exit something else does."""
    _pending[clean] = clean


def clean_up() -> None:
    """Clean up after all blocks that have not ended; for a process that is about to call os._exit."""
    for clean in reversed(list(_pending.values())):
        clean()
