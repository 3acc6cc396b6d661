"""What computes: execution providers of ONNX Runtime, threads, and how much memory they may take."""

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
    """What computes.

    providers: ONNX Runtime's execution providers, most wanted first. threads: None for one on each core. memory: "low"
    makes one session where "normal" makes two, each with its weights; "shared" maps the weights of both, and of other
    processes, from one file.
    """

    providers: tuple[Provider, ...] = (CPU,)
    threads: int | None = None
    memory: Memory = "normal"

    @classmethod
    def of(cls, providers: Sequence[Provider], threads: int | None, memory: Memory) -> "Device":
        """Return the device of a caller's options.

        Raises InputError for a wrong number or word, BackendError if ONNX Runtime is not installed or lacks a provider.
        """
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}; give at least 1, or leave it out.")
        if memory not in get_args(Memory):
            raise InputError(f"memory is {memory!r}; give one of {', '.join(get_args(Memory))}.")
        available = onnxruntime().get_available_providers()
        device = cls(providers=tuple(providers), threads=threads, memory=memory)
        if memory == "shared" and not device.on_cpu:
            raise InputError("memory is 'shared', which is for the CPU alone; leave it out.")
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
        """Whether the processor computes everything."""
        return self.names == [CPU]

    @property
    def cores(self) -> int:
        """Cores that compute; a GPU counts as one."""
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
