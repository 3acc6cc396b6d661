"""Without its package, an adapter says in one sentence what to install."""

import sys
from importlib import import_module

import pytest

from onnxrank.errors import BackendError


@pytest.mark.parametrize(
    ("adapter", "package", "remedy"),
    [
        ("haystack", "haystack", r"pip install onnxrank\[haystack\]"),
        ("lancedb", "lancedb", r"pip install onnxrank\[lancedb\]"),
        ("langchain", "langchain_core", r"pip install onnxrank\[langchain\]"),
        ("llama_index", "llama_index", r"pip install onnxrank\[llama-index\]"),
        ("qdrant", "qdrant_client", r"pip install onnxrank\[qdrant\]"),
        ("ray", "ray", r"pip install onnxrank\[ray\]"),
        ("ray_serve", "ray", r"pip install onnxrank\[ray,serve\]"),
        ("spark", "pyspark", r"pip install onnxrank\[spark\]"),
        ("triton", "triton_python_backend_utils", "onnxrank triton ARTIFACT --out FOLDER"),
    ],
)
def test_the_extra_is_named(adapter: str, package: str, remedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"onnxrank.integrations.{adapter}", raising=False)
    with pytest.raises(BackendError, match=remedy):
        import_module(f"onnxrank.integrations.{adapter}")
