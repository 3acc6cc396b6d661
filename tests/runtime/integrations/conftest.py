"""Each framework's tests run where it is installed: `make frameworks` and `make clusters` have environments of their
own. They use the demo's artifact in artifacts/, and nothing of the exporter.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NEEDS = {
    "test_frameworks.py": ("langchain_core", "langchain_classic", "llama_index", "haystack"),
    "test_stores.py": ("lancedb", "qdrant_client"),
    "test_frameworks_over_http.py": ("haystack_integrations", "langchain_cohere", "llama_index", "uvicorn"),
    "test_kubernetes.py": ("kubernetes_validate", "fastapi"),
    "test_ray.py": ("ray",),
    "test_ray_serve.py": ("fastapi", "ray"),
    "test_triton.py": ("pytriton", "tritonclient"),
    "test_spark.py": ("pyspark",),
}

collect_ignore = [name for name, packages in NEEDS.items() if not all(map(find_spec, packages))]
# Before Haystack is imported: tests talk to no server.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
# Spark's workers run in this environment and not in the first on the path.
os.environ["PYSPARK_PYTHON"] = sys.executable


def pytest_configure(config: pytest.Config) -> None:
    # Ray reads settings of its own, and calls pydantic, in ways that are deprecated.
    config.addinivalue_line("filterwarnings", r"ignore::DeprecationWarning:ray\.")
    # The frameworks' clients leave their connections to the garbage collector.
    config.addinivalue_line("filterwarnings", "ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(scope="session")
def demo() -> Path:
    """The demo's artifact, which the make targets export."""
    folder = ROOT / "artifacts" / "demo"
    assert (folder / "reranker.json").is_file(), "make artifacts/demo/reranker.json"
    return folder
