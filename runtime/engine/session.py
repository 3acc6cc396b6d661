"""A graph on a device: its ONNX Runtime sessions are created at first use in each process; picklable, safe to fork."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.engine.cores import Cores
from onnxrank.engine.device import Device, onnxruntime
from onnxrank.engine.forks import forget_in_children, keep_alive
from onnxrank.engine.prepacked import prepacked_path, write_prepacked
from onnxrank.engine.requantized import requantized
from onnxrank.errors import ArtifactError, BackendError, OutputError, one_line

Array = NDArray[Any]
# How much longer than the mean time per core the longest batch may take.
IMBALANCE = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphFiles:
    """A graph's files; the fields are arguments of `Session`."""

    path: Path
    requantize: Path | None
    weights: str | None


class Session:
    """One graph on one device; any number of threads may use it.

    A single batch runs on all cores. Several batches run at the same time, each on its own core, because a core then
    reads its own results from its own cache: splitting each batch over cores that share no cache took 1.6 times as
    long. Each of the two modes has its own ONNX Runtime session, which is created at first use and holds the weights
    in its kernels' layout; see `Device.memory`.
    """

    def __init__(
        self, path: Path, device: Device, *, requantize: Path | None = None, weights: str | None = None
    ) -> None:
        """requantize: the graph that computes this graph's int8 weights when a session is created; None if its files
        hold them. weights: a hash of all its files, the key of its prepacked weights.
        """
        graph = GraphFiles(path=path, requantize=requantize, weights=weights)
        self._graph, self._device = graph, device
        self.cores = device.cores
        self._parallel = device.cores > 1 and device.memory != "low"
        cores = Cores(self.cores)
        # By default ONNX Runtime uses all cores of the machine, even if a container may use fewer.
        threads = self.cores if device.on_cpu else device.threads
        self._all_cores = Runner(graph, device, cores, threads=threads)
        self._one_core = Runner(graph, device, cores, threads=1, lanes=self.cores)

    def runner(self, batches: Sequence[int]) -> "Runner":
        """Return the fastest runner for batches of these sizes, in tokens."""
        balanced = max(batches, default=0) * self.cores <= IMBALANCE * sum(batches)
        return self._one_core if self._parallel and balanced else self._all_cores

    def before(self, batches: Sequence[int]) -> "Runner":
        """Return the runner for a single batch that goes before batches of these sizes: on all cores, unless only that
        would load the weights a second time."""
        loaded = self._all_cores.loaded or self._device.memory == "shared"
        return self._all_cores if loaded else self.runner(batches)

    def close(self) -> None:
        """Free the weights and the threads; the next run loads them again."""
        self._all_cores.close()
        self._one_core.close()

    def __getstate__(self) -> tuple[GraphFiles, Device]:
        return self._graph, self._device

    def __setstate__(self, state: tuple[GraphFiles, Device]) -> None:
        graph, device = state
        Session.__init__(self, graph.path, device, requantize=graph.requantize, weights=graph.weights)


class Runner:
    """One ONNX Runtime session, and the threads that run batches on it."""

    def __init__(self, graph: GraphFiles, device: Device, cores: Cores, *, threads: int | None, lanes: int = 1) -> None:
        """threads: threads of each run. lanes: how many runs go on at the same time; with one lane, a run takes all
        cores."""
        self._graph = graph
        self._device = device
        self._cores = cores
        self._threads = threads
        self._lanes = lanes
        self._session: Any = None
        self._threads_of_lanes: ThreadPoolExecutor | None = None
        self._start()
        forget_in_children(self)

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Return the named outputs. Raises BackendError or ArtifactError if the session cannot be created."""
        session = self._live()
        with self._cores.lent(1 if self._lanes > 1 else self._cores.count):
            try:
                results: list[Array] = session.run(list(outputs), dict(feeds))
            except Exception as error:  # ONNX Runtime's exceptions share no public base
                raise BackendError(
                    f"ONNX Runtime cannot run {self._graph.path} ({one_line(error)}); free some memory, or give "
                    "shorter texts or a smaller max_length."
                ) from error
        return results

    def run_each(self, outputs: Sequence[str], batches: Iterable[Mapping[str, Array]]) -> Iterator[list[Array]]:
        """Yield the named outputs of each batch, in order. Raises as `run` does."""
        if self._lanes == 1:
            yield from (self.run(outputs, feeds) for feeds in batches)
            return
        yield from self._executor().map(lambda feeds: self.run(outputs, feeds), batches)

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory already."""
        return self._session is not None

    @property
    def input_names(self) -> frozenset[str]:
        """The names of the graph's inputs."""
        return frozenset(entry.name for entry in self._live().get_inputs())

    def output_shape(self, name: str) -> list[int | str]:
        """The declared shape of an output."""
        (shape,) = (entry.shape for entry in self._live().get_outputs() if entry.name == name)
        return list(shape)

    def empty_caches(self, batch_size: int) -> dict[str, Array]:
        """Return empty arrays for the `past_key_values` inputs that the graph declares, if any."""
        types = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
        return {
            entry.name: np.empty(
                [size if isinstance(size, int) else batch_size * (size == "batch_size") for size in entry.shape],
                types[entry.type],
            )
            for entry in self._live().get_inputs()
            if entry.name.startswith("past_key_values.")
        }

    def close(self) -> None:
        """Free the weights and the threads, after the runs that have begun."""
        with self._lock:
            threads = self._threads_of_lanes
            self._session = self._threads_of_lanes = None
        if threads is not None:
            threads.shutdown()

    def forget(self) -> None:
        """Drop the session and the threads, which belong to the parent process."""
        keep_alive(self._session)
        self._session = None
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._threads_of_lanes = None

    def _live(self) -> Any:
        with self._lock:
            if self._session is None:
                self._session = _make_session(self._graph, self._device, self._threads)
            return self._session

    def _executor(self) -> ThreadPoolExecutor:
        """Return the thread pool that all callers share."""
        with self._lock:
            if self._threads_of_lanes is None:
                self._threads_of_lanes = ThreadPoolExecutor(self._lanes, thread_name_prefix="onnxrank")
            return self._threads_of_lanes


def session_options(threads: int | None) -> Any:
    """Return ONNX Runtime's options for a session with this many threads."""
    options = onnxruntime().SessionOptions()
    options.log_severity_level = 3
    # On x86 processors without VNNI, the fast int8 kernels add pairs of products in 16 bits, which overflow; this
    # option selects exact kernels there. It has no effect on other processors.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _make_session(graph: GraphFiles, device: Device, threads: int | None) -> Any:
    runtime = onnxruntime()
    options = session_options(threads)
    path = graph.path
    try:
        if device.memory != "shared" or graph.weights is None:
            return _load(graph, device, options)
        prepacked = prepacked_path(f"{path.name} {graph.weights}")
        write_prepacked(prepacked, partial(_load, graph, device), partial(session_options, device.cores))
        path = prepacked
        # The graph is already optimized for this processor.
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return runtime.InferenceSession(str(path), options, providers=list(device.providers))
    except OutputError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions share no public base
        raise ArtifactError(
            f"ONNX Runtime {runtime.__version__} cannot load {path} ({one_line(error)}); "
            "export the artifact again or upgrade ONNX Runtime."
        ) from error


def _load(graph: GraphFiles, device: Device, options: Any) -> Any:
    runtime = onnxruntime()
    if graph.requantize:
        # The session copies the values; `arrays` has to keep them alive until it is created.
        names, arrays = requantized(graph.requantize, session_options(device.cores))
        values = [runtime.OrtValue.ortvalue_from_numpy(array) for array in arrays]
        options.add_external_initializers(names, values)
    return runtime.InferenceSession(str(graph.path), options, providers=list(device.providers))
