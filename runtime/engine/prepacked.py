"""Graphs whose weights are already in the layout of this processor's kernels, in files that all sessions and processes
map: the weights are in memory once, and a session loads much faster.

ONNX Runtime writes the files (`session.save_external_prepacked_constant_initializers`); scores do not change in any
bit. The files are in HF_ASSETS_CACHE, the hub client's folder for other libraries, and take up to twice the variant's
size.
"""

import hashlib
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onnxrank.engine.device import onnxruntime
from onnxrank.errors import OutputError, one_line
from onnxrank.leftovers import cleaned_up

MODEL, DATA = "model.onnx", "model.onnx_data"
# Bytes; smaller tensors stay in the graph.
INLINE_BYTES = 1024
CPU_FLAGS = Path("/proc/cpuinfo")


def prepacked_path(weights: str) -> Path:
    """Return the path of the prepacked graph for a hash of weights, this processor and this ONNX Runtime."""
    from huggingface_hub import cached_assets_path

    key = "\n".join([weights, onnxruntime().__version__, platform.machine(), _processor()])
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    try:
        folder = cached_assets_path(library_name="onnxrank", namespace="prepacked", subfolder=name)
    except (OSError, ValueError) as error:
        raise OutputError(
            f"the cache of prepacked weights cannot be written ({error}); set HF_HOME to another folder, or leave "
            "memory='shared' out."
        ) from error
    return folder / MODEL


def write_prepacked(path: Path, make: Callable[[Any], object], new_options: Callable[[], Any]) -> None:
    """Write the graph at `path` unless it exists; several processes may write it at the same time.

    make(options): creates the session whose weights are written, with ONNX Runtime's options, as new_options()
    returns them. Raises OutputError if the folder cannot be written to, and what `make` raises even without writing.
    """
    if path.exists():
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix=f"{path.parent.name}-", dir=path.parent.parent)
        with folder as scratch, cleaned_up(folder.cleanup):
            options = new_options()
            options.optimized_model_filepath = str(Path(scratch) / MODEL)
            for name, value in (
                ("optimized_model_external_initializers_file_name", DATA),
                ("optimized_model_external_initializers_min_size_in_bytes", str(INLINE_BYTES)),
                ("save_external_prepacked_constant_initializers", "1"),
            ):
                options.add_session_config_entry(f"session.{name}", value)
            try:
                make(options)
            except Exception as error:  # ONNX Runtime's exceptions do not tell a full disk from a bad graph
                make(new_options())
                raise OutputError(
                    f"{path.parent} cannot be written ({one_line(error)}); free some space, or leave memory='shared' "
                    "out."
                ) from error
            # The data comes first, so that a graph that exists is complete.
            for name in (DATA, MODEL):
                if (written := Path(scratch) / name).exists():
                    written.replace(path.parent / name)
    except OSError as error:
        raise OutputError(
            f"{path.parent} cannot be written ({error.strerror}); free some space, or leave memory='shared' out."
        ) from error


def _processor() -> str:
    """Return the processor's features, by which ONNX Runtime selects kernels."""
    if CPU_FLAGS.is_file():
        lines = CPU_FLAGS.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))
    return platform.processor()
