"""Writes a model repository for Triton: the scorer on its python backend, and the padded graph on its onnxruntime
backend, for callers that tokenize and pad by themselves."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onnxrank.artifact.manifest import MANIFEST
from onnxrank.artifact.opening import Artifact
from onnxrank.artifact.staging import recover, staged
from onnxrank.engine.device import CPU, onnxruntime
from onnxrank.errors import OutputError

# Rows of a batch that Triton gathers from requests of the same length.
MAX_BATCH = 64
TYPES = {
    "tensor(int64)": "TYPE_INT64",
    "tensor(float)": "TYPE_FP32",
    "tensor(float16)": "TYPE_FP16",
}
MODEL = '''"""The scorer in Triton's python backend; the server's Python needs onnxrank[cpu]."""

from onnxrank.integrations.triton import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''
SCORER = """name: "{name}"
backend: "python"
# Each request has a query and as many documents as it likes, and is a batch by itself.
max_batch_size: 0
input [
  {{ name: "query" data_type: TYPE_STRING dims: [ 1 ] }},
  {{ name: "documents" data_type: TYPE_STRING dims: [ -1 ] }}
]
output [
  {{ name: "scores" data_type: TYPE_FP32 dims: [ -1 ] }},
  {{ name: "truncated" data_type: TYPE_BOOL dims: [ -1 ] }}
]
# One process uses all cores.
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
parameters [
{parameters}
]
"""
GRAPH = """name: "{name}"
backend: "onnxruntime"
max_batch_size: {batch}
input [
{inputs}
]
output [
{outputs}
]
dynamic_batching {{ max_queue_delay_microseconds: 1000 }}
"""


def write_repository(
    artifact: Artifact, out: Path, *, variant: str | None = None, threads: int | None = None, force: bool = False
) -> list[Path]:
    """Write two models to a model repository, and return their folders; other models in it stay.

    NAME scores texts; NAME_graph is the padded graph of the same variant. threads: cores of the scorer; all by default.
    force: whether to replace them if they exist. Raises OutputError if they exist or cannot be written, ArtifactError.
    """
    chosen, files = artifact.variant(variant)
    artifact.fetch(*artifact.manifest.files)
    name = artifact.manifest.name
    with _model(out / name, force) as folder:
        parameters = {"variant": chosen, **({"threads": str(threads)} if threads else {})}
        lines = [f'  {{ key: "{key}" value: {{ string_value: "{value}" }} }}' for key, value in parameters.items()]
        (folder / "config.pbtxt").write_text(SCORER.format(name=name, parameters=",\n".join(lines)))
        (folder / "1" / "model.py").write_text(MODEL)
        small = [file for file in artifact.manifest.files if not file.startswith("onnx/")]
        for file in [MANIFEST, *small, *files.files]:
            _copy(artifact.folder / file, folder / "1" / "artifact" / file)
    with _model(out / f"{name}_graph", force) as folder:
        graph = artifact.folder / files.padded
        (folder / "config.pbtxt").write_text(_graph_config(f"{name}_graph", graph))
        _copy(graph, folder / "1" / "model.onnx")
        graphs = {*files.graphs, *([files.past.file] if files.past else [])}
        for file in set(files.files) - graphs:
            _copy(artifact.folder / file, folder / "1" / Path(file).name)
    return [out / name, out / f"{name}_graph"]


def _graph_config(name: str, graph: Path) -> str:
    session = onnxruntime().InferenceSession(str(graph), providers=[CPU])
    inputs, outputs = (",\n".join(map(_tensor, tensors)) for tensors in (session.get_inputs(), session.get_outputs()))
    return GRAPH.format(name=name, batch=MAX_BATCH, inputs=inputs, outputs=outputs)


def _tensor(tensor: Any) -> str:
    """Return Triton's description of a tensor, which leaves the batch out."""
    dims = ", ".join(str(size) if isinstance(size, int) else "-1" for size in tensor.shape[1:])
    return f'  {{ name: "{tensor.name}" data_type: {TYPES[tensor.type]} dims: [ {dims} ] }}'


@contextmanager
def _model(folder: Path, force: bool) -> Iterator[Path]:
    recover(folder)
    if folder.exists() and not (force and (folder / "config.pbtxt").is_file()):
        raise OutputError(f"{folder} exists; give --force to replace it, or another folder.")
    with staged(folder) as made:
        (made / "1").mkdir()
        yield made


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
