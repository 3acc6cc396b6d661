"""What a user of these clients sees when the server refuses."""

# mypy: disable-error-code="import-not-found, import-untyped"

from typing import Any

import pytest
from cohere.errors import UnauthorizedError
from infinity_client import Client
from infinity_client.api.default import rerank
from infinity_client.errors import UnexpectedStatus
from infinity_client.models import RerankInput

from tests.clients.cohere5.clients import haystack_cohere, langchain_cohere, llama_cohere, llama_jina
from tests.clients.ranking import Rank

NO_KEY = "the API key is missing or wrong"


@pytest.mark.parametrize("rank", [langchain_cohere, llama_cohere, haystack_cohere])
def test_a_wrong_key_of_cohere(rank: Rank, guarded: str) -> None:
    with pytest.raises(UnauthorizedError, match=NO_KEY):
        rank(guarded, "a wrong key", 1)


def test_a_wrong_key_of_jina(guarded: str) -> None:
    """It reads `detail`."""
    with pytest.raises(RuntimeError, match=NO_KEY):
        llama_jina(guarded, "a wrong key", 1)


def test_a_wrong_key_of_infinity(guarded: str) -> None:
    with pytest.raises(UnexpectedStatus, match=NO_KEY):
        _ask_infinity(guarded)


@pytest.mark.parametrize(("change", "message"), [({"top_n": -1}, "top_n"), ({"documents": []}, "empty")])
def test_a_bad_request_of_infinity(change: dict[str, Any], message: str, address: str) -> None:
    with pytest.raises(UnexpectedStatus, match=message):
        _ask_infinity(address, **change)


def _ask_infinity(address: str, **change: Any) -> None:
    client = Client(base_url=address, raise_on_unexpected_status=True)
    rerank.sync(client=client, body=RerankInput(**{"query": "a", "documents": ["b"], "model": "demo", **change}))
