"""ONNX Runtime sessions that are made on first use, once per process: picklable and safe across fork."""

import math
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import ArtifactError, BackendError

Array = NDArray[Any]
# An execution provider's name, or its name and ONNX Runtime's options for it.
Provider = str | tuple[str, Mapping[str, Any]]
CPU = "CPUExecutionProvider"
UNPACKED_TYPES = {"tensor(int8)": np.int8, "tensor(float)": np.float32}
# Bytes; where ONNX Runtime starts a tensor.
ALIGNED = 64
# A container's share of the processors (cgroup v2): microseconds, or "max", in each period.
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
# How much more the longest batch may take than its share of a core's time.
IMBALANCE = 1.5


class Session:
    """One graph, its execution providers and its thread count; it may be used from several threads.

    A batch that comes alone runs on all cores. Several run at the same time, each on a core of its own: what a core
    computes, it reads again from its own cache. Between cores with no cache in common, the other way took 1.6 times as
    long. Each way has its own weights in memory, and is loaded when it is first needed.
    """

    def __init__(
        self, path: Path, providers: Sequence[Provider], threads: int | None, *, unpack: Path | None = None
    ) -> None:
        """unpack: the graph that computes weights of this one, before it is made; None where it has all of them."""
        on_cpu = tuple(providers) == (CPU,)
        self.cores = (threads or usable_cores()) if on_cpu else 1
        # ONNX Runtime's own choice is all cores of the machine, whatever a container may use.
        self._all_cores = Runner(path, providers, self.cores if on_cpu else threads, unpack=unpack)
        self._one_core = Runner(path, providers, 1, lanes=self.cores, unpack=unpack)

    def runner(self, batches: Sequence[int]) -> "Runner":
        """Return what runs batches of these sizes, in tokens, fastest."""
        balanced = max(batches, default=0) * self.cores <= IMBALANCE * sum(batches)
        return self._one_core if self.cores > 1 and balanced else self._all_cores

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Return the named outputs of one batch. Raises as `Runner.run` does."""
        return self._all_cores.run(outputs, feeds)


class Runner:
    """One ONNX Runtime session."""

    def __init__(
        self,
        path: Path,
        providers: Sequence[Provider],
        threads: int | None,
        *,
        lanes: int = 1,
        unpack: Path | None = None,
    ) -> None:
        """threads: of each run. lanes: runs at the same time."""
        self._path = path
        self._unpack = unpack
        self._providers = tuple(providers)
        self._threads = threads
        self._lanes = lanes
        self._session: Any = None
        self._forget()

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Return the named outputs. Raises BackendError or ArtifactError if the session cannot be made."""
        results: list[Array] = self._live().run(list(outputs), dict(feeds))
        return results

    def run_each(self, outputs: Sequence[str], batches: Iterable[Mapping[str, Array]]) -> Iterator[list[Array]]:
        """Yield the named outputs of each batch, in order. Raises as `run` does."""
        if self._lanes == 1:
            yield from (self.run(outputs, feeds) for feeds in batches)
            return
        with ThreadPoolExecutor(self._lanes) as pool:
            yield from pool.map(lambda feeds: self.run(outputs, feeds), batches)

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
                unpacking = self._threads and self._threads * self._lanes
                self._session = _make_session(self._path, self._providers, self._threads, self._unpack, unpacking)
            return self._session

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._session = None

    def __getstate__(self) -> tuple[Path, tuple[Provider, ...], int | None, int, Path | None]:
        return self._path, self._providers, self._threads, self._lanes, self._unpack

    def __setstate__(self, state: tuple[Path, tuple[Provider, ...], int | None, int, Path | None]) -> None:
        self._path, self._providers, self._threads, self._lanes, self._unpack = state
        self._forget()


def usable_cores() -> int:
    """Return how many cores this process may use; threads of one core share its arithmetic, and count once. A container
    whose time is limited counts as many cores as that time fills."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    processors = os.sched_getaffinity(0)
    siblings = [Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list") for number in processors]
    known = all(path.is_file() for path in siblings)
    cores = len({path.read_text() for path in siblings}) if known else len(processors)
    if CPU_LIMIT.is_file():
        microseconds, period = CPU_LIMIT.read_text().split()
        if microseconds != "max":
            cores = min(cores, math.ceil(int(microseconds) / int(period)))
    return cores


def check_providers(providers: Sequence[Provider]) -> list[str]:
    """Return their names. Raises BackendError if ONNX Runtime is not installed or lacks one of them."""
    available = _onnxruntime().get_available_providers()
    names = [provider if isinstance(provider, str) else provider[0] for provider in providers]
    for name in names:
        if name not in available:
            raise BackendError(
                f"the execution provider {name!r} is not in this ONNX Runtime, which has "
                f"{', '.join(available)}; name one of these, or install `onnxrank[gpu]` for CUDA."
            )
    return names


def _make_session(
    path: Path, providers: Sequence[Provider], threads: int | None, unpack: Path | None, unpacking: int | None
) -> Any:
    """unpacking: threads for the graph `unpack`."""
    onnxruntime = _onnxruntime()
    options = _options(threads)
    try:
        if unpack:
            # The session copies what it is handed; until it is made, `arrays` keeps that in place.
            names, arrays = unpacked(unpack, unpacking)
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays]
            options.add_external_initializers(names, values)
        return onnxruntime.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        raise ArtifactError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {path} ({error}); "
            "export the artifact again or upgrade ONNX Runtime."
        ) from error


def unpacked(path: Path, threads: int | None) -> tuple[list[str], list[Array]]:
    """Run a graph without inputs; return its outputs and their names."""
    onnxruntime = _onnxruntime()
    options = _options(threads)
    # Constants all the way: an optimizer would compute everything while loading, in one thread, and keep it.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=[CPU])
    outputs = session.get_outputs()
    arrays = _arrays([(output.shape, np.dtype(UNPACKED_TYPES[output.type])) for output in outputs])
    binding = session.io_binding()
    for output, array in zip(outputs, arrays, strict=True):
        binding.bind_output(output.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    session.run_with_iobinding(binding)
    return [output.name for output in outputs], arrays


def _arrays(wanted: Sequence[tuple[Sequence[int], np.dtype[Any]]]) -> list[Array]:
    """Return empty arrays in one block, which goes back to the system as a whole; smaller ones would stay with the
    process."""
    sizes = [math.prod(shape) * dtype.itemsize for shape, dtype in wanted]
    starts = [0, *accumulate(-(-size // ALIGNED) * ALIGNED for size in sizes)]
    block = np.empty(starts[-1], np.uint8)
    pieces = [block[start:][:size] for start, size in zip(starts, sizes, strict=False)]
    return [piece.view(dtype).reshape(shape) for piece, (shape, dtype) in zip(pieces, wanted, strict=True)]


def _options(threads: int | None) -> Any:
    options = _onnxruntime().SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "ONNX Runtime is not installed: `pip install onnxrank[cpu]`, or `onnxrank[gpu]` for CUDA."
        ) from error
    return onnxruntime
