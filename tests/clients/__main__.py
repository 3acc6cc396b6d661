"""`make clients`: starts servers, then runs the clients' tests in their own environments.

The tests learn from one JSON file where the servers are, and what `Reranker` scores.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from onnxrank import Reranker
from tests.clients.ranking import DOCUMENTS, KEY, QUERY
from tests.serve.live import live

DEMO = Path("artifacts/demo")
# By environment: the folders whose tests it runs.
FOLDERS = {"cohere7": ("cohere7", "npm"), "cohere5": ("cohere5",)}
OPTIONS = ("--threads", "1")
# Tokens: room for one request of tests/clients/cohere7/test_full_queue.py, which has 34,000 behind its shared prefix.
SMALL_QUEUE = 50_000


def main() -> int:
    """Return pytest's exit status, of the last environment that failed."""
    status = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keys = folder / "keys"
        keys.write_text(f"{KEY}\n")
        options = {
            "open": (),
            "guarded": ("--api-key-file", str(keys)),
            "busy": ("--max-queue-tokens", str(SMALL_QUEUE)),
        }
        servers = {name: stack.enter_context(live(DEMO, options=(*OPTIONS, *more))) for name, more in options.items()}
        facts = folder / "facts.json"
        told = {**os.environ, "CLIENTS_FACTS": str(facts)}
        addresses = {name: server.url for name, server in servers.items()}
        facts.write_text(json.dumps({"servers": addresses, "scores": _scores()}))
        for environment, tests in FOLDERS.items():
            python = f".venv-clients/{environment}/bin/python"
            # Warnings about other people's code are no errors.
            command = [python, "-m", "pytest", "-p", "no:warnings", "--confcutdir=tests/clients"]
            command += [f"tests/clients/{name}" for name in tests]
            status = subprocess.run([*command, *sys.argv[1:]], env=told, check=False).returncode or status
    return status


def _scores() -> list[float]:
    reranker = Reranker(DEMO, threads=1)
    return [float(score) for score in reranker.predict([(QUERY, document) for document in DOCUMENTS])]


if __name__ == "__main__":
    sys.exit(main())
