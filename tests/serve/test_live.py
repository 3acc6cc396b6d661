"""The whole way, from a socket to ONNX Runtime and back."""

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from onnxrank import Embedder, LateInteraction, Reranker
from tests.serve.artifacts import EMBEDDER, LATE, export_served
from tests.serve.live import MAIN, Live, live

QUERY = "sort the values of an array along an axis"
DOCUMENTS = [
    "numpy.sort: Return a sorted copy of an array, ascending along the chosen axis.",
    "numpy.mean: Compute the arithmetic mean along the specified axis.",
    "json.dumps: Serialize an object to a JSON formatted string.",
    "<|im_end|> a text with control tokens <|im_start|>system",
    "numpy.sort: Return a sorted copy of an array, ascending along the chosen axis.",
    "",
]


@pytest.fixture(scope="module")
def reranker(demo_artifact: Path) -> Reranker:
    return Reranker(demo_artifact, variant="fp32", threads=1)


@pytest.mark.parametrize("raw", [False, True])
def test_scores_are_those_of_reranker(server: Live, reranker: Reranker, raw: bool) -> None:
    expected = reranker.score([(QUERY, document) for document in DOCUMENTS])
    body = {"query": QUERY, "documents": DOCUMENTS, "use_activation": not raw}
    answer = httpx.post(f"{server.url}/v2/rerank", json=body).raise_for_status().json()
    scores = {hit["index"]: hit["relevance_score"] for hit in answer["results"]}
    wanted = expected.logits if raw else expected.scores
    np.testing.assert_allclose([scores[i] for i in range(len(DOCUMENTS))], wanted, atol=1e-6 if not raw else 1e-5)
    assert answer["usage"]["total_tokens"] == int(expected.tokens.sum())
    assert scores[0] == scores[4]


def test_what_is_cut_is_told(server: Live, reranker: Reranker) -> None:
    long = "numpy " * (reranker.max_length + 100)
    answer = httpx.post(f"{server.url}/rerank", json={"query": QUERY, "documents": ["short", long]}, timeout=60).json()
    assert answer["meta"]["truncated"] == [1]
    refused = httpx.post(
        f"{server.url}/rerank",
        json={"query": QUERY, "documents": ["short", long], "long_documents": "error", "on_error": "partial"},
    ).json()
    assert [hit["index"] for hit in refused["results"]] == [0]
    assert [error["index"] for error in refused["meta"]["errors"]] == [1]


def test_answers_are_not_mixed_up(server: Live, reranker: Reranker) -> None:
    queries = [f"{QUERY} {i}" for i in range(12)]
    alone = {query: reranker.predict([(query, document) for document in DOCUMENTS]) for query in queries}

    def ask(query: str) -> None:
        body = {"queries": query, "documents": DOCUMENTS}
        answer = httpx.post(f"{server.url}/score", json=body, timeout=60).raise_for_status().json()
        np.testing.assert_allclose([one["score"] for one in answer["data"]], alone[query], atol=1e-6)

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(ask, queries * 3))


def test_several_models_of_other_kinds(tmp_path_factory: pytest.TempPathFactory) -> None:
    late, embedder = (export_served(name, tmp_path_factory.mktemp("served")) for name in (LATE, EMBEDDER))
    with live(f"late={late}", f"vectors={embedder}") as server:
        body = {"model": "late", "query": QUERY, "documents": DOCUMENTS}
        ranked = httpx.post(f"{server.url}/rerank", json=body, timeout=60).raise_for_status().json()["results"]
        expected = LateInteraction(late, threads=1).rank(QUERY, DOCUMENTS)
        assert [hit["index"] for hit in ranked] == [hit["corpus_id"] for hit in expected]
        np.testing.assert_allclose(
            [hit["relevance_score"] for hit in ranked], [hit["score"] for hit in expected], atol=1e-5
        )
        asked = {"input": DOCUMENTS, "input_type": "query"}
        answer = httpx.post(f"{server.url}/v1/embeddings", json=asked, timeout=60).raise_for_status().json()
        assert answer["model"] == "vectors"
        vectors = Embedder(embedder, threads=1).encode(DOCUMENTS, is_query=True)
        np.testing.assert_allclose([one["embedding"] for one in answer["data"]], vectors, atol=1e-5)
        assert server.stop() == 0


def test_sigterm_under_load_loses_no_admitted_request(demo_artifact: Path) -> None:
    with live(demo_artifact, options=("--threads", "1", "--variant", "fp32")) as server:
        answers: list[int] = []
        first = threading.Barrier(9)

        def ask_until_it_ends() -> None:
            waited = False
            with httpx.Client(timeout=60) as client:
                while True:
                    body = {"query": QUERY, "documents": DOCUMENTS * 20}
                    try:
                        answers.append(client.post(f"{server.url}/rerank", json=body).status_code)
                    except httpx.ConnectError:
                        return
                    if not waited:
                        waited = bool(first.wait() >= 0)
                    if answers[-1] == 503:
                        return

        asking = [threading.Thread(target=ask_until_it_ends) for _ in range(8)]
        for thread in asking:
            thread.start()
        first.wait()
        assert server.stop() == 0
        for thread in asking:
            thread.join()
        # A connection that broke would have raised in its thread, which pytest reports.
        assert set(answers) <= {200, 503} and answers.count(200) >= 8


def test_logs_are_json_and_without_texts(demo_artifact: Path) -> None:
    with live(demo_artifact, options=("--threads", "1", "--variant", "fp32", "--log-json")) as server:
        httpx.post(f"{server.url}/rerank", json={"query": "secret", "documents": ["secret"]}).raise_for_status()
        assert server.stop(signal.SIGINT) == 0
    lines = [json.loads(line) for line in server.log[1:]]
    assert any(line.get("route") == "/rerank" and line["documents"] == 1 for line in lines)
    assert "secret" not in "".join(server.log)


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--workers", "4"], 2, "each worker would hold the weights"),
        (["other=nowhere/at-all/x"], 1, "neither a folder nor a hub id"),
        (["--api-key-file", "/nowhere"], 1, "cannot be read"),
        (["--variant", "q9"], 1, "q9"),
    ],
)
def test_what_is_refused(demo_artifact: Path, arguments: list[str], status: int, text: str) -> None:
    command = [*MAIN, "serve", str(demo_artifact), "--port", "0", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == status and text in ended.stderr and "Traceback" not in ended.stderr


def test_without_its_packages(demo_artifact: Path) -> None:
    code = "import sys; sys.modules['fastapi'] = None; from onnxrank.cli.app import main; main()"
    command = [sys.executable, "-c", code, "serve", str(demo_artifact)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1 and "pip install onnxrank[serve,cpu]" in ended.stderr
