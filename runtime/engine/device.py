"""Where graphs run: ONNX Runtime's execution providers, the number of threads, and how weights use memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from onnxrank.engine.cores import usable_cores
from onnxrank.errors import BackendError, InputError

# An execution provider's name, or its name and ONNX Runtime's options for it.
Provider = str | tuple[str, Mapping[str, Any]]
Memory = Literal["normal", "low", "shared"]
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
# Beyond what any machine gives one model; a slip of the keyboard would start thousands of threads.
MOST_THREADS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where graphs run.

    providers: ONNX Runtime's execution providers, in order of preference. threads: None for one per core. memory:
    "normal" makes two sessions, each with its own copy of the weights; "low" makes one; "shared" maps the weights of
    both, and of other processes, from one file.
    """

    providers: tuple[Provider, ...] = (CPU,)
    threads: int | None = None
    memory: Memory = "normal"

    @classmethod
    def of(
        cls, device: str | None, providers: Sequence[Provider] | None, threads: int | None, memory: Memory
    ) -> "Device":
        """Return the device for a caller's options: `device` by torch's name or `providers`, or the CPU for neither.

        Raises InputError for an invalid option, BackendError if ONNX Runtime is not installed or lacks a provider.
        """
        if device is not None and providers is not None:
            raise InputError(f"device is {device!r:.60} and providers is {providers!r:.60}; give one of the two.")
        providers = _listed(providers) if providers is not None else _by_name(device or "cpu")
        if threads is not None and (not isinstance(threads, int) or not 1 <= threads <= MOST_THREADS):
            raise InputError(f"threads is {threads!r:.60}; give 1 to {MOST_THREADS}, or leave it out to use all cores.")
        if memory not in get_args(Memory):
            raise InputError(f"memory is {memory!r}; give one of {', '.join(get_args(Memory))}.")
        available = onnxruntime().get_available_providers()
        found = cls(providers=tuple(providers), threads=threads, memory=memory)
        if memory == "shared" and not found.on_cpu:
            raise InputError("memory is 'shared', which works on the CPU only; leave it out.")
        for name in found.names:
            if name not in available:
                raise BackendError(
                    f"the execution provider {name!r} is not in this ONNX Runtime, which has "
                    f"{', '.join(available)}; name one of these, or install `onnxrank[gpu]` for CUDA."
                )
        return found

    @property
    def names(self) -> list[str]:
        """The names of the providers."""
        return [provider if isinstance(provider, str) else provider[0] for provider in self.providers]

    @property
    def on_cpu(self) -> bool:
        """Whether the CPU is the only provider."""
        return self.names == [CPU]

    @property
    def cores(self) -> int:
        """How many cores compute; a GPU counts as one."""
        return (self.threads or usable_cores()) if self.on_cpu else 1


def _by_name(device: str) -> list[Provider]:
    kind, _, index = str(device).partition(":")
    if kind == "cpu":
        return [CPU]
    if kind == "cuda" and (not index or index.isdecimal()):
        return [(CUDA, {"device_id": int(index)}) if index else CUDA]
    raise InputError(f"device is {device!r:.60}; give 'cpu', 'cuda' or 'cuda:0', or name ONNX Runtime's `providers`.")


def _listed(providers: Sequence[Provider]) -> list[Provider]:
    if isinstance(providers, str) or not isinstance(providers, Sequence) or not providers:
        raise InputError(f"providers is {providers!r:.60}; give a list of ONNX Runtime's names, such as [{CPU!r}].")
    for provider in providers:
        pair = isinstance(provider, tuple | list) and len(provider) == 2 and isinstance(provider[0], str)
        if not isinstance(provider, str) and not (pair and isinstance(provider[1], Mapping)):
            raise InputError(f"providers has {provider!r:.60}; give a name, or (name, options).")
    return [provider if isinstance(provider, str) else (provider[0], provider[1]) for provider in providers]


def onnxruntime() -> Any:
    """Return the module. Raises BackendError if it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "ONNX Runtime is not installed: `pip install onnxrank[cpu]`, or `onnxrank[gpu]` for CUDA."
        ) from error
    return onnxruntime
