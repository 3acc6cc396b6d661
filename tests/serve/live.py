"""Runs `onnxrank serve` as a process of its own, on a free port.

    python -m tests.serve.live artifacts/demo

prints the address and serves until Ctrl+C; tests use `live`.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

MAIN = [sys.executable, "-c", "from onnxrank.cli.app import main; main()"]
START_SECONDS = 120  # on a busy machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A server that is ready. log: the lines it has written to standard error so far."""

    url: str
    process: subprocess.Popen[str]
    log: list[str]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal; return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextlib.contextmanager
def live(*artifacts: Path | str, options: Sequence[str] = ("--threads", "1")) -> Iterator[Live]:
    """Serve artifacts until the end of the block; an artifact may be "name=folder"."""
    command = [*MAIN, "serve", *map(str, artifacts), "--port", "0", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr
        first = process.stderr.readline()
        address = re.search(r" at (http://\S+)", first)
        log: list[str] = [first]
        reading = threading.Thread(target=log.extend, args=(process.stderr,))
        reading.start()
        try:
            assert address, f"the server did not start: {first}"
            _wait_until_ready(address[1], process, log)
            yield Live(url=address[1], process=process, log=log)
        finally:
            if process.poll() is None:
                process.kill()
            reading.join()


def _wait_until_ready(url: str, process: "subprocess.Popen[str]", log: list[str]) -> None:
    end = time.monotonic() + START_SECONDS
    while httpx.get(f"{url}/health/ready", timeout=START_SECONDS).status_code != 200:
        assert process.poll() is None, "".join(log)
        assert time.monotonic() < end, "".join(log)
        time.sleep(0.1)


if __name__ == "__main__":
    with live(*sys.argv[1:]) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.process.wait()
