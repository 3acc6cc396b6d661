"""What the exporter asks of an architecture."""

from collections.abc import Callable
from dataclasses import dataclass

import onnx_ir as ir

from onnxrank.export.checkpoint import Checkpoint
from onnxrank.manifest import KeyValueCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """build(checkpoint, shape=, max_length=, score_weight=) gives the float32 graph; cache the KV cache's shape."""

    build: Callable[..., ir.Model]
    cache: Callable[[Checkpoint], KeyValueCache]
