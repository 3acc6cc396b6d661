"""Writes graphs: their weights in one external file that all of them refer to."""

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from onnxrank.export.staging import check_space
from onnxrank.quantize.unpacked import made_at_load

# Smaller tensors stay inside the graph file.
INLINE_BYTES = 1024


def save_graphs(graphs: Sequence[tuple[Path, ir.Model]]) -> list[Path]:
    """Save graphs of one variant, which share weights by name; return all files written.

    Weights are read, converted and written one at a time, each once.
    """
    first, _ = graphs[0]
    data = first.with_name(f"{first.name}_data")
    first.parent.mkdir(exist_ok=True)
    large: dict[str, ir.TensorProtocol] = {}
    for _, model in graphs:
        for name, value in model.graph.initializers.items():
            tensor = value.const_value
            if tensor is not None and tensor.nbytes > INLINE_BYTES and not made_at_load(tensor):
                large.setdefault(name, tensor)
    check_space(first.parent, sum(tensor.nbytes for tensor in large.values()))
    written = ir.external_data.convert_tensors_to_external(list(large.values()), first.parent, data.name)
    stored = dict(zip(large, written, strict=True))
    for path, model in graphs:
        for name, value in model.graph.initializers.items():
            if name in stored:
                value.const_value = stored[name]
        ir.save(model, path)
    # Tiny models fit inside the graph file.
    return [path for path in (first, data, *(path for path, _ in graphs[1:])) if path.exists()]
