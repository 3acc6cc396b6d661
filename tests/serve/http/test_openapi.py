"""The OpenAPI document is complete, and every request that it allows or forbids gets an answer that it describes.

`make serve-fuzz` runs 5,000 cases.
"""

import os
import re
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import Case, checks

from tests.serve.asking import app_of, ask
from tests.serve.fake import FakeModel, FakeScheduler

MODELS = {"demo": FakeModel(), "vectors": FakeModel(kind="embedder")}
APP = app_of(FakeScheduler(models=MODELS))
DOCUMENT = ask(APP, "/openapi.json").json()
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]
POSTS = [path for path, method in OPERATIONS if method == "post"]
# Spread over the operations that take a body.
CASES = int(os.environ.get("SERVE_FUZZ_CASES", "400"))

schema = schemathesis.openapi.from_asgi("/openapi.json", APP)


@schema.parametrize()
@hypothesis.settings(
    max_examples=-(-CASES // len(POSTS)),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_any_request(case: "Case[Any]") -> None:
    case.call_and_validate(
        checks=[
            checks.not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ]
    )


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_each_operation_is_described(path: str, method: str) -> None:
    operation = DOCUMENT["paths"][path][method]
    assert operation["description"] and operation["tags"]
    assert {"200"} <= set(operation["responses"])
    if method == "post":
        assert {"400", "401", "413", "422", "429", "503"} <= set(operation["responses"])
        for body in bodies(operation):
            assert body["description"] and body["examples"], body["title"]


@pytest.mark.parametrize("path", POSTS)
def test_the_examples_work(path: str) -> None:
    for body in bodies(DOCUMENT["paths"][path]["post"]):
        for example in body["examples"]:
            models = {"demo": MODELS["vectors"]} if body["title"] == "EmbeddingsBody" else {"demo": MODELS["demo"]}
            assert ask(app_of(FakeScheduler(models=models)), path, example).status_code == 200


def test_names_refer_to_something_and_no_field_is_undescribed() -> None:
    for name in re.findall(r'"\$ref": ?"#/components/schemas/(\w+)"', ask(APP, "/openapi.json").text):
        assert name in DOCUMENT["components"]["schemas"]
    common = DOCUMENT["components"]["schemas"]["CohereRerank"]["properties"]
    assert {"instruction", "raw_scores", "max_tokens_per_doc", "truncation_side", "long_documents"} <= set(common)
    assert {"score_threshold", "priority", "timeout", "on_error", "truncate"} <= set(common)
    undescribed = {name for name, field in common.items() if "description" not in field}
    assert undescribed == {"query"}


def bodies(operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas that the body of an operation may have."""
    found = operation["requestBody"]["content"]["application/json"]["schema"]
    references = [one["$ref"] for one in found.get("anyOf", [found])]
    return [DOCUMENT["components"]["schemas"][reference.rsplit("/", 1)[1]] for reference in references]
