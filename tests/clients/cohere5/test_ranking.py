"""Clients that live beside cohere 5."""

import pytest

from tests.clients.cohere5.clients import CLIENTS, WITHOUT_KEYS
from tests.clients.ranking import DOCUMENTS, KEY, check


@pytest.mark.parametrize("top_n", [3, len(DOCUMENTS)])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_ranking(name: str, top_n: int, address: str, scores: list[float]) -> None:
    check(CLIENTS[name](address, "any key", top_n), scores, top_n)


@pytest.mark.parametrize("name", sorted(CLIENTS.keys() - WITHOUT_KEYS))
def test_a_ranking_with_a_key(name: str, guarded: str, scores: list[float]) -> None:
    check(CLIENTS[name](guarded, KEY, 1), scores, 1)
