"""External initializers that are computed when a session is created: int8 weights from the 4-bit weights on disk."""

import math
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.engine.device import CPU, onnxruntime

TYPES = {"tensor(int8)": np.int8, "tensor(float)": np.float32}
# Bytes; the alignment of ONNX Runtime's tensors.
ALIGNED = 64


def requantized(path: Path, options: Any) -> tuple[list[str], list[NDArray[Any]]]:
    """Run a graph without inputs on the CPU; return its outputs' names and values.

    options: ONNX Runtime's session options; this function turns their optimizations off.
    """
    runtime = onnxruntime()
    # The graph is all constants: an optimizer would compute it at load, in one thread, and keep the results.
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(str(path), options, providers=[CPU])
    outputs = session.get_outputs()
    arrays = _arrays([(output.shape, np.dtype(TYPES[output.type])) for output in outputs])
    binding = session.io_binding()
    for output, array in zip(outputs, arrays, strict=True):
        binding.bind_output(output.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
    session.run_with_iobinding(binding)
    return [output.name for output in outputs], arrays


def _arrays(wanted: Sequence[tuple[Sequence[int], np.dtype[Any]]]) -> list[NDArray[Any]]:
    """Return empty arrays in one block: the system gets a large block back when it is freed, while small blocks would
    stay with the process."""
    sizes = [math.prod(shape) * dtype.itemsize for shape, dtype in wanted]
    starts = [0, *accumulate(-(-size // ALIGNED) * ALIGNED for size in sizes)]
    block = np.empty(starts[-1], np.uint8)
    pieces = [block[start:][:size] for start, size in zip(starts, sizes, strict=False)]
    return [piece.view(dtype).reshape(shape) for piece, (shape, dtype) in zip(pieces, wanted, strict=True)]
