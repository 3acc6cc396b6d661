"""Writes graphs, with their weights in external files that all graphs of a variant share."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import onnx_ir as ir

from onnxrank.export.artifact.staging import check_space
from onnxrank.export.graph.builder import INLINE_BYTES
from onnxrank.quantize.requantize import computed_at_load

# Browsers hash at most 512 MiB in one piece and allocate at most 2 GiB. Padding between tensors comes on top of this.
FILE_BYTES = 500_000_000


def save_graphs(graphs: Sequence[tuple[Path, ir.Model]]) -> list[Path]:
    """Save the graphs of one variant, whose weights of the same name are shared; return all files written.

    Each weight is read, converted and written once, one at a time.
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
        # Transformers.js expects these names.
        data.append(first.with_name(f"{first.name}_data{f'_{len(data)}' if data else ''}"))
        written += ir.external_data.convert_tensors_to_external(tensors, first.parent, data[-1].name)
    stored = dict(zip(large, written, strict=True))
    for path, model in graphs:
        for name, value in model.graph.initializers.items():
            if name in stored:
                value.const_value = stored[name]
            elif (tensor := value.const_value) is not None and not computed_at_load(tensor):
                # Read it here: onnx_ir would wrap an error about the checkpoint in several of its own.
                value.const_value = ir.tensor(tensor.numpy(), name=name)
        ir.save(model, path)
    return [first, *data, *(path for path, _ in graphs[1:])]


def _files(tensors: Iterable[ir.TensorProtocol]) -> Iterator[list[ir.TensorProtocol]]:
    """Split tensors, in order, into files of at most FILE_BYTES each; a larger tensor has a file to itself."""
    file: list[ir.TensorProtocol] = []
    for tensor in tensors:
        if file and sum(other.nbytes for other in [*file, tensor]) > FILE_BYTES:
            yield file
            file = []
        file.append(tensor)
    if file:
        yield file
