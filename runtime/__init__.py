"""Rerankers on ONNX Runtime, without torch: `Reranker(folder_or_hub_id).rank(query, documents)`."""

from importlib.metadata import version

from onnxrank.cascade import Cascade
from onnxrank.embedder import Embedder
from onnxrank.engine.maxsim import maxsim
from onnxrank.errors import (
    ArtifactError,
    BackendError,
    CheckpointError,
    HubError,
    InputError,
    OutputError,
    ParityError,
    RerankError,
    UnsupportedError,
)
from onnxrank.late_interaction import LateInteraction
from onnxrank.reranker import Reranker

__version__ = version("onnxrank")

__all__ = [
    "ArtifactError",
    "BackendError",
    "Cascade",
    "CheckpointError",
    "Embedder",
    "HubError",
    "InputError",
    "LateInteraction",
    "OutputError",
    "ParityError",
    "RerankError",
    "Reranker",
    "UnsupportedError",
    "__version__",
    "maxsim",
]
