"""Writes graphs: the first with its weights in an external file, the others referring to the same file."""

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from onnxrank.errors import UnsupportedError
from onnxrank.export.staging import check_space

# Smaller tensors stay inside the graph file.
INLINE_BYTES = 1024


def save_graphs(graphs: Sequence[tuple[Path, ir.Model]]) -> list[Path]:
    """Save graphs of one variant, which share weights by name; return all files written.

    Weights are read, converted and written one at a time.
    """
    first, model = graphs[0]
    data = first.with_name(f"{first.name}_data")
    first.parent.mkdir(exist_ok=True)
    check_space(first.parent, sum(t.nbytes for v in model.graph.initializers.values() if (t := v.const_value)))
    ir.save(model, first, external_data=data.name, size_threshold_bytes=INLINE_BYTES)
    stored = ir.load(first).graph.initializers
    for path, other in graphs[1:]:
        for name, value in other.graph.initializers.items():
            if name in stored and isinstance(stored[name].const_value, ir.ExternalTensor):
                value.const_value = stored[name].const_value
            elif value.const_value is not None and value.const_value.nbytes > INLINE_BYTES:
                raise UnsupportedError(f"{path.name} has the weight {name}, which {first.name} lacks.")
        ir.save(other, path)
    # Tiny models fit inside the graph file.
    return [path for path in (first, data, *(path for path, _ in graphs[1:])) if path.exists()]
