"""Other people's clients, unmodified, against running servers.

`make clients` starts the servers, and has environments for the clients, where onnxrank is not installed; elsewhere
nothing in this folder is collected.
"""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FACTS = os.environ.get("CLIENTS_FACTS")
collect_ignore_glob = [] if FACTS else ["*/test_*.py"]
# These send usage statistics, or fetch a price list when they are imported.
os.environ |= {"HAYSTACK_TELEMETRY_ENABLED": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
HERE = ("127.0.0.1", "localhost")
# After each answer litellm asks for the size of its `huggingface/` model there, and does without.
REFUSED = {"huggingface.co"}


@pytest.fixture(scope="session", autouse=True)
def this_machine_only() -> Iterator[None]:
    """No client may look up another host."""
    look_up = socket.getaddrinfo
    asked = set()

    def look_up_here(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in HERE:
            return look_up(host, *arguments, **options)
        asked.add(host)
        raise OSError(f"{host} is not this machine")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up_here)
        yield
    assert asked <= REFUSED


@pytest.fixture(scope="session")
def facts() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(FACTS or "").read_text())
    return found


@pytest.fixture
def scores(facts: dict[str, Any]) -> list[float]:
    """Of `Reranker`, for DOCUMENTS."""
    found: list[float] = facts["scores"]
    return found


@pytest.fixture
def address(facts: dict[str, Any]) -> str:
    """A server that takes any key."""
    return str(facts["servers"]["open"])


@pytest.fixture
def guarded(facts: dict[str, Any]) -> str:
    """A server that takes KEY."""
    return str(facts["servers"]["guarded"])


@pytest.fixture
def busy(facts: dict[str, Any]) -> str:
    """A server whose queue holds one large request."""
    return str(facts["servers"]["busy"])
