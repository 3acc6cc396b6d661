"""The results as SVG: noise against size, and scores against PyTorch's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.fidelity.pytorch import HALF, REFERENCE

NOISE, SCORES = "fidelity-noise.svg", "fidelity-scores.svg"
LINKS = f"![Noise against the size of the weights]({NOISE})\n\n![Scores against PyTorch's]({SCORES})"
SHOWN = (HALF, "onnxrank int8", "onnxrank q4")


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """Write both, of the first section of each checkpoint."""
    sections = {f"{name} on {title}": sets[title] for name, sets in results.items() for title in list(sets)[:1]}
    # The same results give the same bytes.
    with rc_context({"svg.hashsalt": "fidelity"}):
        _noise(sections, folder / NOISE)
        _scores(sections, folder / SCORES)


def _noise(sections: Mapping[str, Any], path: Path) -> None:
    figure = Figure(figsize=(5.5 * len(sections), 4.5))
    every = figure.subplots(1, len(sections), squeeze=False)
    for axes, (title, section) in zip(every[0], sections.items(), strict=True):
        for engine, found in section["engines"].items():
            # Float32 has no noise on a logarithmic axis.
            if engine == REFERENCE or found["noise"]["mean"] < 1e-4:
                continue
            ours = engine.startswith("onnxrank")
            axes.scatter(found["megabytes"], found["noise"]["mean"], color="C1" if ours else "C0")
            axes.annotate(
                engine, (found["megabytes"], found["noise"]["mean"]),
                xytext=(5, 0), textcoords="offset points", fontsize="x-small", va="center",
            )  # fmt: skip
        if HALF in section["engines"]:
            axes.axhline(section["engines"][HALF]["noise"]["mean"], color="C7", linestyle=":")
        axes.set(yscale="log", xlabel="weights, MB", ylabel="noise", title=title)
        axes.margins(x=0.3)
        axes.grid(alpha=0.3)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def _scores(sections: Mapping[str, Any], path: Path) -> None:
    figure = Figure(figsize=(4 * len(SHOWN), 4 * len(sections)))
    every = figure.subplots(len(sections), len(SHOWN), squeeze=False)
    for row, (title, section) in zip(every, sections.items(), strict=True):
        for axes, engine in zip(row, SHOWN, strict=True):
            axes.set_title(f"{engine}, {title}", fontsize="small")
            if engine in section["engines"]:
                x, y = zip(*section["engines"][engine]["sample"], strict=True)
                axes.plot([min(x), max(x)], [min(x), max(x)], color="C7", linewidth=0.8)
                axes.scatter(x, y, s=4, color="C1" if engine.startswith("onnxrank") else "C0")
        row[0].set_ylabel("score")
    for axes in every[-1]:
        axes.set_xlabel("PyTorch's score in float32")
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
