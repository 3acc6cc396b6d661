"""OpenAI's embeddings and list of models."""

import base64
from typing import Any

import numpy as np
import pytest

from tests.serve.asking import app_of, ask
from tests.serve.fake import FakeModel, FakeScheduler

EMBEDDER = {"vectors": FakeModel(kind="embedder")}


def embed(scheduler: FakeScheduler | None = None, **fields: Any) -> Any:
    app = app_of(scheduler or FakeScheduler(models=EMBEDDER))
    return ask(app, "/v1/embeddings", {"model": "vectors", "input": ["a b", "c"], **fields})


def test_vectors_as_numbers_and_in_base64() -> None:
    answer = embed().json()
    assert [one["index"] for one in answer["data"]] == [0, 1]
    assert answer["data"][0]["object"] == "embedding"
    assert answer["usage"] == {"prompt_tokens": 3, "total_tokens": 3, "completion_tokens": 0}
    numbers = np.array([one["embedding"] for one in answer["data"]], np.float32)
    packed = embed(encoding_format="base64").json()["data"]
    decoded = np.stack([np.frombuffer(base64.b64decode(one["embedding"]), "<f4") for one in packed])
    np.testing.assert_array_equal(decoded, numbers)


def test_a_single_text_and_the_side_of_the_search() -> None:
    scheduler = FakeScheduler(models=EMBEDDER)
    assert len(embed(scheduler, input="alone", input_type="query", instruct="find it").json()["data"]) == 1
    (request,) = scheduler.asked
    assert request.is_query and request.instruction == "find it"  # type: ignore[union-attr]


@pytest.mark.parametrize("fields", [{"input": []}, {"input": [1, 2]}, {"input": None}, {"dimensions": 2}])
def test_what_is_refused(fields: dict[str, Any]) -> None:
    answer = embed(**fields)
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_dimensions_of_the_model_itself() -> None:
    assert embed(dimensions=3).status_code == 200


def test_models() -> None:
    (card,) = ask(app_of(FakeScheduler()), "/v1/models").json()["data"]
    assert (card["id"], card["object"], card["kind"], card["variant"]) == ("demo", "model", "reranker", "int8")


def test_the_wrong_kind_of_model() -> None:
    answer = embed(FakeScheduler())
    assert answer.status_code == 400 and "/rerank" in answer.json()["message"]
    ranking = ask(app_of(FakeScheduler(models=EMBEDDER)), "/rerank", {"query": "a", "documents": ["b"]})
    assert ranking.status_code == 400 and "/v1/embeddings" in ranking.json()["message"]
