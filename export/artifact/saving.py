"""Writes graphs: their weights in external files that all of them refer to."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import onnx_ir as ir

from onnxrank.export.artifact.staging import check_space
from onnxrank.export.graph.builder import INLINE_BYTES
from onnxrank.quantize.requantize import computed_at_load

# Browsers hash no more than 512 MiB in one piece, and hold no more than 2 GiB. Space between tensors comes on top.
FILE_BYTES = 500_000_000


def save_graphs(graphs: Sequence[tuple[Path, ir.Model]]) -> list[Path]:
    """Save graphs of one variant, which share weights by name; return all files written.

    Weights are read, converted and written one at a time, each once.
    """
    first, _ = graphs[0]
    first.parent.mkdir(exist_ok=True)
    large: dict[str, ir.TensorProtocol] = {}
    for _, model in graphs:
        for name, value in model.graph.initializers.items():
            tensor = value.const_value
            if tensor is not None and tensor.nbytes > INLINE_BYTES and not computed_at_load(tensor):
                large.setdefault(name, tensor)
    check_space(first.parent, sum(tensor.nbytes for tensor in large.values()))
    data: list[Path] = []
    written: list[ir.ExternalTensor] = []
    for tensors in _files(large.values()):
        # The names by which Transformers.js asks for them.
        data.append(first.with_name(f"{first.name}_data{f'_{len(data)}' if data else ''}"))
        written += ir.external_data.convert_tensors_to_external(tensors, first.parent, data[-1].name)
    stored = dict(zip(large, written, strict=True))
    for path, model in graphs:
        for name, value in model.graph.initializers.items():
            if name in stored:
                value.const_value = stored[name]
        ir.save(model, path)
    return [first, *data, *(path for path, _ in graphs[1:])]


def _files(tensors: Iterable[ir.TensorProtocol]) -> Iterator[list[ir.TensorProtocol]]:
    """Split tensors, in their order, into files of at most FILE_BYTES or one tensor."""
    file: list[ir.TensorProtocol] = []
    for tensor in tensors:
        if file and sum(other.nbytes for other in [*file, tensor]) > FILE_BYTES:
            yield file
            file = []
        file.append(tensor)
    if file:
        yield file
