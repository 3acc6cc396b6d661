"""What a user of these clients sees when the server refuses."""

# mypy: disable-error-code="import-not-found, import-untyped"

from collections.abc import Callable

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


@pytest.mark.parametrize(
    ("server", "change", "message"),
    [
        ("guarded", dict, NO_KEY),
        ("address", lambda: {"top_n": -1}, "top_n"),
        ("address", lambda: {"documents": []}, "empty"),
    ],
)
def test_infinity(
    server: str, change: Callable[[], dict[str, object]], message: str, request: pytest.FixtureRequest
) -> None:
    client = Client(base_url=request.getfixturevalue(server), raise_on_unexpected_status=True)
    with pytest.raises(UnexpectedStatus, match=message):
        rerank.sync(client=client, body=RerankInput(**{"query": "a", "documents": ["b"], "model": "demo", **change()}))
