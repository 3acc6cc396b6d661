"""Plots each variant's scores against the reference's, with matplotlib."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import BackendError, InputError, OutputError

FORMATS = (".svg", ".png")
COLUMNS = 3
# Inches: height and width of a panel.
PANEL = 3.2


def check_plot(path: Path) -> None:
    """Raise InputError for a file of another format, BackendError without matplotlib."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path} is no name for a plot; end it in {' or '.join(FORMATS)}.")
    if importlib.util.find_spec("matplotlib") is None:
        raise BackendError("plots need matplotlib, which is not installed: `pip install onnxrank[plot]`.")


def write_plot(
    path: Path,
    title: str,
    expected: Sequence[NDArray[np.floating]],
    found: Mapping[str, Sequence[NDArray[np.floating]]],
) -> None:
    """Write a panel for each variant: a point for each document, at the differences of its two scores from the query's
    means, and the line on which they are equal.

    expected: the reference's scores [documents] of each query. found: likewise, for each variant. Raises OutputError if
    the file cannot be written.
    """
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    figure = Figure(figsize=(PANEL * columns, PANEL * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    x = _centred(expected)
    for panel, (variant, scores) in zip(panels, found.items(), strict=False):
        panel.axline((0, 0), slope=1, color="0.6", linewidth=1)
        panel.plot(x, _centred(scores), ".", markersize=3, alpha=0.5)
        panel.set_title(variant)
    for panel in panels[len(found) :]:
        panel.set_visible(False)
    figure.suptitle(title)
    figure.supxlabel("PyTorch's score, less its mean over the query", fontsize="medium")
    figure.supylabel("the variant's, likewise", fontsize="medium")
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another file.") from error


def _centred(scores: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(row, np.float64) - np.mean(row, dtype=np.float64) for row in scores])
