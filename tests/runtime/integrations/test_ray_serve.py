"""Ray Serve on this machine, asked over HTTP."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import serve

from onnxrank import Reranker
from onnxrank.integrations.ray_serve import METRIC, QueuePolicy
from tests.markdown import PAGES, blocks

QUERY, DOCUMENTS = "sort an array", ["mean(a): average", "sort(a): sorts an array", "det(a): determinant"]


@pytest.fixture(scope="module")
def address(demo: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    (block,) = blocks(PAGES["docs/deploy.md"], "python")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(demo.parents[1])
        exec(compile(block, "docs/deploy.md", "exec"), {})
    yield f"http://127.0.0.1:{port}"
    serve.shutdown()
    ray.shutdown()


def asked(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(
        address + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def test_a_request_is_answered_as_by_the_server(address: str, demo: Path) -> None:
    answer = asked(address, "/v1/rerank", {"query": QUERY, "documents": DOCUMENTS, "top_n": 2})
    expected = Reranker(demo, threads=1).rank(QUERY, DOCUMENTS, 2)
    assert [hit["index"] for hit in answer["results"]] == [hit["corpus_id"] for hit in expected]
    scores = [hit["relevance_score"] for hit in answer["results"]]
    assert scores == pytest.approx([hit["score"] for hit in expected], abs=1e-4)
    assert asked(address, "/v1/models")["data"][0]["id"] == "demo"


@pytest.mark.parametrize(("waiting", "replicas"), [({}, 1), ({"a": 0.0}, 1), ({"a": 150.0, "b": 51.0}, 3)])
def test_a_replica_for_so_many_queued_tokens(waiting: dict[str, float], replicas: int) -> None:
    context: Any = SimpleNamespace(aggregated_metrics={METRIC: waiting} if waiting else {})
    assert QueuePolicy(queued_tokens=100)(context) == (replicas, {})
