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
    def of(cls, providers: Sequence[Provider], threads: int | None, memory: Memory) -> "Device":
        """Return the device for a caller's options.

        Raises InputError for an invalid option, BackendError if ONNX Runtime is not installed or lacks a provider.
        """
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}; give at least 1, or leave it out.")
        if memory not in get_args(Memory):
            raise InputError(f"memory is {memory!r}; give one of {', '.join(get_args(Memory))}.")
        available = onnxruntime().get_available_providers()
        device = cls(providers=tuple(providers), threads=threads, memory=memory)
        if memory == "shared" and not device.on_cpu:
            raise InputError("memory is 'shared', which works on the CPU only; leave it out.")
        for name in device.names:
            if name not in available:
                raise BackendError(
                    f"the execution provider {name!r} is not in this ONNX Runtime, which has "
                    f"{', '.join(available)}; name one of these, or install `onnxrank[gpu]` for CUDA."
                )
        return device

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


def onnxruntime() -> Any:
    """Return the module. Raises BackendError if it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError(
            "ONNX Runtime is not installed: `pip install onnxrank[cpu]`, or `onnxrank[gpu]` for CUDA."
        ) from error
    return onnxruntime
