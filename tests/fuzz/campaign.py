"""Runs cases of bad input and counts what became of them.

A case succeeds or is refused in one readable sentence. It never ends in another exception, and never takes more than
SECONDS or GROWTH.
"""

import faulthandler
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from hypothesis import HealthCheck, settings

from onnxrank.errors import RerankError

# Of processor time, because the machine may be busy; of time on the clock, six times as many.
SECONDS = 10
# Bytes that a case may add to the resident memory, and to the address space, where more raises MemoryError: a case must
# not take the machine down.
GROWTH = 1 << 30
ADDRESSES = 8 << 30
LONGEST_SENTENCE = 1200

CASES = 2000
settings.register_profile("long", max_examples=CASES)


def is_long() -> bool:
    """Whether the tests run with `--hypothesis-profile long`."""
    return settings.get_profile("long") is settings.default


def cases(*, short: int, share: float = 1.0) -> settings:
    """Return the settings of a subject: `short` cases, or this share of CASES in the long form."""
    return settings(
        max_examples=round(CASES * share) if is_long() else short,
        deadline=None,
        derandomize=not is_long(),
        suppress_health_check=list(HealthCheck),
    )


@dataclass(slots=True)
class Tally:
    """What became of the cases of one subject. growth: bytes of resident memory."""

    opened: int = 0
    refused: int = 0
    seconds: float = 0.0
    growth: int = 0


TALLIES: dict[str, Tally] = {}


class TooLong(BaseException):
    """A case took too long. Not an Exception, so that no handler of the product takes it for a library's error."""


def attempt(subject: str, case: Callable[[], object]) -> bool:
    """Run a case and return whether it succeeded; the test fails if it is neither a success nor a sentence."""
    tally = TALLIES.setdefault(subject, Tally())
    before = _begin()
    start = time.monotonic()
    try:
        with _watched():
            case()
        succeeded = True
    except RerankError as error:
        check_sentence(str(error))
        succeeded = False
    tally.seconds = max(tally.seconds, time.monotonic() - start)
    growth = max(0, _memory("VmHWM") - before)
    tally.growth = max(tally.growth, growth)
    assert growth <= GROWTH, f"the case took {growth / 1e6:,.0f} MB"
    tally.opened += succeeded
    tally.refused += not succeeded
    return succeeded


def check_sentence(message: str) -> None:
    """Fail unless a message is one readable sentence."""
    assert message.endswith((".", "?", ")", "`")) and len(message) <= LONGEST_SENTENCE, message
    assert message.isprintable(), f"{message!r} is not printable"


def rows() -> list[list[str]]:
    """Return the table of all subjects."""
    table = [["subject", "cases", "opened", "refused", "longest s", "peak MB"]]
    for subject, tally in TALLIES.items():
        counts = (tally.opened + tally.refused, tally.opened, tally.refused)
        table.append([subject, *(f"{n:,}" for n in counts), f"{tally.seconds:.1f}", f"{tally.growth / 1e6:,.0f}"])
    return table


@contextmanager
def _watched() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong(f"a case took more than {SECONDS} seconds")

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, stop)
    # Native code does not see the signal; then this ends the process, and says where it was.
    faulthandler.dump_traceback_later(6 * SECONDS, exit=True, file=2)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + ADDRESSES, hard))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGPROF, before)


def _begin() -> int:
    """Return the resident memory, from which the peak is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> int:
    """Return a line of this process's memory in Linux's status file, in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0]) * 1024
