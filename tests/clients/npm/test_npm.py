"""Clients from npm, which rank.js asks."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.ranking import DOCUMENTS, KEY, QUERY, Hit, check

CLIENTS = ["cohere-ai v1", "cohere-ai v2", "@langchain/cohere", "@ai-sdk/cohere", "@ai-sdk/togetherai"]
RANK = Path(__file__).with_name("rank.js")


def ask(client: str, address: str, key: str, top_n: int) -> dict[str, Any]:
    request = {"address": address, "key": key, "query": QUERY, "documents": DOCUMENTS, "topN": top_n}
    command = ["node", str(RANK), client]
    ended = subprocess.run(command, input=json.dumps(request), check=True, capture_output=True, text=True, timeout=60)
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


@pytest.mark.parametrize("top_n", [3, len(DOCUMENTS)])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_ranking(client: str, top_n: int, guarded: str, scores: list[float]) -> None:
    check([Hit(*hit) for hit in ask(client, guarded, KEY, top_n)["hits"]], scores, top_n)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_key(client: str, guarded: str) -> None:
    answer = ask(client, guarded, "a wrong key", 1)
    assert answer["status"] == 401 and "the API key is missing or wrong" in answer["error"]
