"""Ends a command soon after SIGINT (Ctrl+C) or SIGTERM, without anything half-made.

Python runs signal handlers only between its own instructions, and a call into ONNX Runtime may take minutes. A thread
therefore gets each signal too, and ends the process if the command does not end by itself.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from onnxrank.leftovers import clean_up

# For Python code to end by itself. Well below a second, after which people press Ctrl+C again.
GRACE_SECONDS = 0.5
ENDING = (signal.SIGINT, signal.SIGTERM)

_received: list[int] = []
_told = threading.Event()


def ending() -> bool:
    """Whether a signal is ending the process, so that errors of the command say nothing."""
    return bool(_received)


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """End the process with status 128 + the signal's number, as shells count, on SIGINT and SIGTERM in the block."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signals = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _end) for number in ENDING}
    threading.Thread(target=_watch, args=(reader,), daemon=True, name="onnxrank-signals").start()
    try:
        yield
    except BaseException as error:
        # Whatever the command made of the signal: C code that imports modules turns it into an ImportError.
        for number in _received or [signal.SIGINT] * isinstance(error, KeyboardInterrupt):
            if number == signal.SIGINT:
                _tell()
            raise SystemExit(128 + number) from None
        raise
    finally:
        # A process that is ending ignores further signals.
        if signal.getsignal(signal.SIGINT) is _end:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(signals)
            writer.close()


def _end(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _watch(reader: socket.socket) -> None:
    with reader:
        while received := reader.recv(1):
            if received[0] in ENDING:
                time.sleep(GRACE_SECONDS)
                clean_up()
                if received[0] == signal.SIGINT:
                    _tell()
                os._exit(128 + received[0])


def _tell() -> None:
    if not _told.is_set():
        _told.set()
        sys.stderr.write("interrupted\n")
        sys.stderr.flush()
