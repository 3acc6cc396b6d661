"""An ONNX Runtime session that is made on first use, once per process: picklable and safe across fork."""

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import ArtifactError, BackendError

Array = NDArray[Any]
CPU = "CPUExecutionProvider"


class Session:
    """One graph, its execution providers and its thread count; `run` may be called from several threads."""

    def __init__(
        self, path: Path, providers: Sequence[str], threads: int | None, *, unpack: Path | None = None
    ) -> None:
        """unpack: the graph that computes weights of this one, before it is made; None where it has all of them."""
        self._path = path
        self._unpack = unpack
        self._providers = tuple(providers)
        self._threads = threads
        self._session: Any = None
        self._forget()

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Return the named outputs. Raises BackendError or ArtifactError if the session cannot be made."""
        results: list[Array] = self._live().run(list(outputs), dict(feeds))
        return results

    @property
    def input_names(self) -> frozenset[str]:
        """The names of the graph's inputs."""
        return frozenset(entry.name for entry in self._live().get_inputs())

    def output_shape(self, name: str) -> list[int | str]:
        """The declared shape of an output."""
        (shape,) = (entry.shape for entry in self._live().get_outputs() if entry.name == name)
        return list(shape)

    def empty_caches(self, batch_size: int) -> dict[str, Array]:
        """Return the `past_key_values` inputs the graph declares, if any, holding nothing yet."""
        types = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
        return {
            entry.name: np.empty(
                [size if isinstance(size, int) else batch_size * (size == "batch_size") for size in entry.shape],
                types[entry.type],
            )
            for entry in self._live().get_inputs()
            if entry.name.startswith("past_key_values.")
        }

    def _live(self) -> Any:
        # A forked child inherits the session but not its thread pool, and would wait for it for ever.
        if self._owner != os.getpid():
            self._forget()
        with self._lock:
            if self._session is None:
                self._session = _make_session(self._path, self._providers, self._threads, self._unpack)
            return self._session

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._session = None

    def __getstate__(self) -> tuple[Path, tuple[str, ...], int | None, Path | None]:
        return self._path, self._providers, self._threads, self._unpack

    def __setstate__(self, state: tuple[Path, tuple[str, ...], int | None, Path | None]) -> None:
        self._path, self._providers, self._threads, self._unpack = state
        self._forget()


def check_providers(providers: Sequence[str]) -> None:
    """Raise BackendError if ONNX Runtime is not installed or lacks one of the execution providers."""
    available = _onnxruntime().get_available_providers()
    for provider in providers:
        if provider not in available:
            raise BackendError(
                f"the execution provider {provider!r} is not in this ONNX Runtime, which has "
                f"{', '.join(available)}; name one of these, or install `onnxrank[gpu]` for CUDA."
            )


def _make_session(path: Path, providers: Sequence[str], threads: int | None, unpack: Path | None) -> Any:
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        if unpack:
            names, values = _unpacked(unpack, threads)
            options.add_external_initializers(names, values)
        return onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        raise ArtifactError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {path} ({error}); "
            "export the artifact again or upgrade ONNX Runtime."
        ) from error


def _unpacked(path: Path, threads: int | None) -> tuple[list[str], list[Any]]:
    """Run a graph without inputs; return its outputs' names and values, as a session takes them."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Constants all the way: an optimizer would compute everything while loading, in one thread, and keep it.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_cpu_mem_arena = False
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=[CPU])
    names = [entry.name for entry in session.get_outputs()]
    # Only memory that the caller owns can be handed to a session: OrtValues over arrays, not the run's own.
    return names, [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in session.run(names, {})]


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "ONNX Runtime is not installed: `pip install onnxrank[cpu]`, or `onnxrank[gpu]` for CUDA."
        ) from error
    return onnxruntime
