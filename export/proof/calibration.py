"""Chooses the texts on which the weights' sensitivity is measured, and finds the weights that it belongs to."""

from collections.abc import Callable, Container, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.graph.weights import PREFIXES
from onnxrank.quality.candidates import read_candidates
from onnxrank.quality.corpus import Layout
from onnxrank.quantize.hessians import Hessians

# Docstrings of the packages that NOTICE names, each with its summary line and a near miss: none of them is in the
# demo's evaluation set.
TEXTS = Path(__file__).with_name("calibration.jsonl")
# More texts change little and take longer.
PAIRS = 64


def calibration_pairs(path: Path | None) -> list[tuple[str, str]]:
    """Return the first pairs (query, document) of a file with lines of a query and documents, by default of TEXTS.

    Raises InputError naming a line that cannot be read, or a file that holds none.
    """
    candidates, _ = read_candidates(path or TEXTS, layout=Layout())
    pairs = [(one.query, document) for one in candidates for document in one.documents]
    return pairs[:PAIRS]


def hessians_of(checkpoint: Checkpoint, files: Mapping[str, Path]) -> Callable[[], Hessians]:
    """Return a function that makes the Hessians of a graph's weights.

    files: with second moments, by the names of PyTorch's modules.
    """
    found = {
        f"{tensor}.T": partial(_read, file)
        for module, file in files.items()
        if (tensor := _tensor_of(checkpoint.tensors, module))
    }
    return lambda: Hessians(found)


def _tensor_of(tensors: Container[str], module: str) -> str | None:
    """Return the checkpoint's name of a module's weight; the two may start with different prefixes."""
    parts = module.split(".")
    candidates = (
        f"{prefix}{'.'.join(parts[start:])}.weight" for start in range(len(parts)) for prefix in ("", *PREFIXES)
    )
    return next((name for name in candidates if name in tensors), None)


def _read(file: Path) -> NDArray[np.float32]:
    moments: NDArray[np.float32] = np.load(file)
    return moments
