"""The results as SVG: ratios to ours, growth of time, size against speed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

AXES = {
    "documents": "documents of 24 tokens",
    "tokens": "tokens of each of 20 documents",
    "context": "tokens of the one prompt",
}


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """Write ratios.svg, growth.svg if growth was measured, and sizes.svg."""
    _ratios(results["requests"], folder / "ratios.svg")
    if "growth" in results:
        _growth(results["growth"], folder / "growth.svg")
    _sizes(results["requests"], results["engines"], folder / "sizes.svg")


def _ratios(requests: Mapping[str, Any], path: Path) -> None:
    figure = Figure(figsize=(4.5 * len(requests), 4))
    every = figure.subplots(1, len(requests), sharey=True, squeeze=False)
    for axes, (name, body) in zip(every[0], requests.items(), strict=True):
        ratios = {engine: figures.get("times_ours", 1.0) for engine, figures in body["engines"].items()}
        colors = ["C1" if engine.startswith("onnxrank") else "C0" for engine in ratios]
        bars = axes.barh(list(ratios), list(ratios.values()), color=colors)
        axes.bar_label(bars, fmt="%.1f", padding=2)
        axes.margins(x=0.15)
        axes.set_xlabel("times our int8's seconds")
        axes.set_title(name)
    every[0][0].invert_yaxis()
    figure.savefig(path, bbox_inches="tight")


def _growth(growth: Mapping[str, Any], path: Path) -> None:
    figure = Figure(figsize=(5 * len(growth), 4))
    every = figure.subplots(1, len(growth), squeeze=False)
    for axes, (sweep, by_engine) in zip(every[0], growth.items(), strict=True):
        for engine, spent in by_engine.items():
            axes.plot([int(value) for value in spent], list(spent.values()), marker="o", markersize=3, label=engine)
        values = sorted({int(value) for spent in by_engine.values() for value in spent})
        axes.set(xscale="log", yscale="log", xlabel=AXES[sweep], ylabel="seconds")
        axes.set_xticks(values, [str(value) for value in values])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    every[0][0].legend(fontsize="small")
    figure.savefig(path, bbox_inches="tight")


def _sizes(requests: Mapping[str, Any], engines: Mapping[str, Any], path: Path) -> None:
    name, body = next(iter(requests.items()))
    figure = Figure(figsize=(6.5, 4.5))
    axes = figure.subplots()
    for engine, figures in body["engines"].items():
        point = engines[engine]["weights_megabytes"], figures["useful_gigaflops"]
        # Neighbours are too close together for labels beside them.
        axes.scatter(*point, marker="os^"[len(axes.collections) // 10 % 3], label=engine)
    axes.set(xlabel="weights, MB", ylabel="useful GF/s", title=name)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    figure.savefig(path, bbox_inches="tight")
