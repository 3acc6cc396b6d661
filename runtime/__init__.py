"""Rerankers on ONNX Runtime, without torch: `Reranker(folder_or_hub_id).rank(query, documents)`."""

from onnxrank.cascade import Cascade
from onnxrank.embedder import Embedder
from onnxrank.engine.maxsim import maxsim
from onnxrank.errors import (
    ArtifactError,
    BackendError,
    CheckpointError,
    HubError,
    InputError,
    LossError,
    OutputError,
    ParityError,
    RerankError,
    UnsupportedError,
)
from onnxrank.late_interaction import LateInteraction
from onnxrank.reranker import Reranker

__all__ = [
    "ArtifactError",
    "BackendError",
    "Cascade",
    "CheckpointError",
    "Embedder",
    "HubError",
    "InputError",
    "LateInteraction",
    "LossError",
    "OutputError",
    "ParityError",
    "RerankError",
    "Reranker",
    "UnsupportedError",
    "__version__",
    "maxsim",
]


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: that takes as long as a fifth of the whole import."""
    if name == "__version__":
        from importlib.metadata import version

        return version("onnxrank")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
