"""Describes the machine of a measurement, and the memory of its processes."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8")


def describe() -> dict[str, Any]:
    """Return processor, cores, relevant instruction sets, and the versions of our runtime packages."""
    cpu = Path("/proc/cpuinfo")
    text = cpu.read_text() if cpu.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = set(text.split())
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "torch": version("torch"),
    }


def peak_megabytes(process: int | str = "self") -> float:
    """Return the most memory that a process had, on Linux; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    kilobytes = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes[1]) / 1e3 if kilobytes else 0.0
