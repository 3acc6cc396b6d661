"""What a user of these clients sees when the server refuses: the client's own exception, with the server's sentence."""

# mypy: disable-error-code="import-not-found, import-untyped"

from typing import Any

import cohere
import litellm
import openai
import pytest
import voyageai

from tests.clients.cohere7.clients import LITELLM, cohere_v1, cohere_v2, haystack_jina, haystack_tei, voyage
from tests.clients.ranking import Rank

NO_KEY = "the API key is missing or wrong"


@pytest.mark.parametrize(
    ("rank", "error"),
    [
        (cohere_v1, cohere.UnauthorizedError),
        (cohere_v2, cohere.UnauthorizedError),
        (voyage, voyageai.error.AuthenticationError),
        *((rank, litellm.AuthenticationError) for rank in LITELLM.values()),
        (haystack_jina, RuntimeError),
    ],
)
def test_a_wrong_key(rank: Rank, error: type[Exception], guarded: str) -> None:
    with pytest.raises(error, match=NO_KEY):
        rank(guarded, "a wrong key", 1)


def test_a_wrong_key_of_tei(guarded: str) -> None:
    with pytest.raises(Exception, match="401"):
        haystack_tei(guarded, "a wrong key", 1)


def test_openai(address: str, guarded: str) -> None:
    client = openai.OpenAI(api_key="any key", base_url=f"{address}/v1")
    assert [model.id for model in client.models.list()] == ["demo"]
    with pytest.raises(openai.BadRequestError, match="the model demo is of the kind reranker"):
        client.embeddings.create(model="demo", input="a text")
    with pytest.raises(openai.AuthenticationError, match=NO_KEY):
        openai.OpenAI(api_key="a wrong key", base_url=f"{guarded}/v1").models.list()


@pytest.mark.parametrize("client", [cohere.Client, cohere.ClientV2])
@pytest.mark.parametrize(("change", "message"), [({"documents": []}, "empty"), ({"top_n": -1}, "top_n")])
def test_a_bad_request_of_cohere(client: Any, change: dict[str, Any], message: str, address: str) -> None:
    with pytest.raises(cohere.BadRequestError, match=message):
        client("any key", base_url=address).rerank(**{"model": "demo", "query": "a", "documents": ["b"], **change})


@pytest.mark.parametrize("provider", ["cohere", "jina_ai", "hosted_vllm", "infinity", "voyage"])
def test_a_bad_request_of_litellm(provider: str, address: str) -> None:
    with pytest.raises(litellm.BadRequestError, match="documents is empty"):
        litellm.rerank(f"{provider}/demo", query="a", documents=[], api_base=address, api_key="x")


def test_a_bad_request_of_litellm_for_tei(address: str) -> None:
    """TEI's status is 422, for which litellm has no name."""
    with pytest.raises(litellm.APIError, match="texts is empty") as raised:
        litellm.rerank("huggingface/demo", query="a", documents=[], api_base=address, api_key="x")
    assert raised.value.status_code == 422


def test_a_bad_request_of_voyage(address: str) -> None:
    with pytest.raises(voyageai.error.InvalidRequestError, match="top_k"):
        voyageai.Client("any key", base_url=f"{address}/v1").rerank("a", ["b"], model="demo", top_k=-1)
