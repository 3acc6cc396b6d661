"""The python backend of a real Triton server, which nvidia-pytriton brings, with its real client."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytriton
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from onnxrank import Reranker
from onnxrank.artifact.opening import open_artifact
from onnxrank.triton_repository import write_repository

SECONDS = 120
QUERY = "sort an array"
DOCUMENTS = ["sort(a): sorts an array", "mean(a): average", "", "größer: compares", "word " * 5000]


@pytest.fixture(scope="module")
def repository(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("repository")
    write_repository(open_artifact(demo), out, variant="q4", threads=1)
    return out


@pytest.fixture(scope="module")
def client(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    package = Path(pytriton.__file__).parent
    backends = tmp_path_factory.mktemp("backends")
    shutil.copytree(package / "tritonserver" / "backends" / "python", backends / "python")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(
        package / "tritonserver" / "python_backend_stubs" / version / "triton_python_backend_stub", backends / "python"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    libraries = [package.parent / "nvidia_pytriton.libs", Path(sys.base_prefix) / "lib"]
    command: list[object] = [
        package / "tritonserver" / "bin" / "tritonserver",
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        # This server has no onnxruntime backend.
        "--model-control-mode=explicit",
        "--load-model=demo",
        "--allow-http=false",
        "--allow-metrics=false",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={port}",
    ]
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with subprocess.Popen(list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as server:  # fmt: skip
        try:
            assert server.stdout
            lines = []
            for line in server.stdout:
                lines.append(line)
                if "Started GRPCInferenceService" in line:
                    break
            else:
                raise AssertionError("".join(lines))
            yield grpc.InferenceServerClient(f"127.0.0.1:{port}")
        finally:
            server.terminate()
            server.communicate(timeout=SECONDS)


def strings(name: str, values: list[str | bytes]) -> Any:
    array = np.array([value.encode() if isinstance(value, str) else value for value in values], np.object_)
    tensor = grpc.InferInput(name, [len(values)], "BYTES")
    tensor.set_data_from_numpy(array)
    return tensor


def test_texts_get_their_scores(client: Any, demo: Path) -> None:
    found = client.infer("demo", [strings("query", [QUERY]), strings("documents", [*DOCUMENTS])])
    expected = Reranker(demo, variant="q4", threads=1).score([(QUERY, text) for text in DOCUMENTS])
    np.testing.assert_array_equal(found.as_numpy("scores"), expected.scores)
    assert found.as_numpy("truncated").tolist() == expected.truncated.tolist() == [False] * 4 + [True]


def test_a_bad_request_gets_a_sentence_and_the_next_one_scores(client: Any) -> None:
    with pytest.raises(InferenceServerException, match=r"the text .* is not in UTF-8"):
        client.infer("demo", [strings("query", [QUERY]), strings("documents", [b"\xff"])])
    with pytest.raises(InferenceServerException, match=r"the text .* is not in UTF-8"):
        client.infer("demo", [strings("query", [b"\xff"]), strings("documents", ["text"])])
    found = client.infer("demo", [strings("query", [QUERY]), strings("documents", ["a"])])
    assert found.as_numpy("scores").shape == (1,)


def test_the_servers_description_is_the_configuration(client: Any) -> None:
    config = client.get_model_config("demo").config
    assert [(tensor.name, list(tensor.dims)) for tensor in config.input] == [("query", [1]), ("documents", [-1])]
