"""The results as Markdown, alone or in the documentation."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import table

COLUMNS = ("", "MB", "noise", "tau", "same best", "flips", "RBO", "nDCG@10", "difference, points")
BEGIN, END = "<!-- measured: make fidelity -->", "<!-- end of measured -->"


def markdown(results: Mapping[str, Any]) -> str:
    """Return a table for each checkpoint and set."""
    parts = []
    for name, sets in results.items():
        for title, section in sets.items():
            parts.append(f"### {name} on {title}")
            parts.append(
                f"{section['documents']} documents a query; within a query the scores of PyTorch in float32 deviate by "
                f"{section['spread']:.2f} logits."
            )
            parts.append(table(COLUMNS, [_row(engine, found) for engine, found in section["engines"].items()]))
    return "\n\n".join(parts) + "\n"


def settings(results: Mapping[str, Any]) -> str:
    """Return a table of each engine's settings; a decoder's, which has a prefix graph, before an encoder's."""
    sections = [section for sets in reversed(list(results.values())) for section in sets.values()]
    found = {engine: row["settings"] for section in sections for engine, row in section["engines"].items()}
    return table(("engine", "settings"), found.items()) + "\n"


def write_into(page: Path, text: str) -> None:
    """Replace what is between the markers of a page."""
    old = page.read_text(encoding="utf-8")
    pattern = re.compile(f"({re.escape(BEGIN)}\n).*?({re.escape(END)})", re.DOTALL)
    new, count = pattern.subn(lambda match: f"{match[1]}\n{text}\n{match[2]}", old)
    assert count == 1, f"{page} has no markers {BEGIN} and {END}"
    page.write_text(new, encoding="utf-8")


def _row(engine: str, found: Mapping[str, Any]) -> Sequence[str]:
    delta = found["ndcg_difference"]
    return [
        engine,
        f"{found['megabytes']:.0f}",
        _interval(found["noise"]),
        f"{found['kendall_tau']['mean']:.3f}",
        f"{found['top1_agreement']['mean']:.1%}",
        f"{found['flips']['mean']:.2%}",
        f"{found['rank_biased_overlap']['mean']:.3f}",
        f"{found['ndcg']['mean']:.1f}",
        f"{delta['mean']:+.2f} [{delta['low']:+.2f}, {delta['high']:+.2f}]",
    ]


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
