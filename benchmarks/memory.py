"""Private memory and seconds to the first scores by `memory=`: `python -m benchmarks.memory build/bench/qwen3 int8`.

One document first, which all cores score, then a list, whose documents get a core each. "shared" is measured twice: the
first process writes the prepacked weights unless they are in the cache.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from onnxrank.cli.console import show_table

MODES = ("normal", "low", "shared", "shared")
DOCUMENTS = [f"document {i} about sorting arrays" for i in range(12)]
COLUMNS = ["memory", "first document, s", "first list, s", "private MB", "MB with mapped files"]


def main(artifact: Path, variant: Annotated[str, typer.Argument()] = "int8") -> None:
    """Measure each mode in a process of its own."""
    rows = []
    for memory in MODES:
        command = [sys.executable, "-m", "benchmarks.memory", "--measure", str(artifact), variant, memory]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        rows.append([memory, *found])
    show_table(f"{artifact.name}, {variant}", COLUMNS, rows)


def measure(artifact: str, variant: str, memory: str) -> None:
    from onnxrank import Reranker

    reranker = Reranker(artifact, variant=variant, memory=memory)  # type: ignore[arg-type]  # one of MODES
    seconds = []
    for documents in (DOCUMENTS[:1], DOCUMENTS):
        start = time.perf_counter()
        reranker.rank("how do I sort?", documents)
        seconds.append(time.perf_counter() - start)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    kilobytes = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
    private, resident = kilobytes["Anonymous:"] / 1e3, kilobytes["Rss:"] / 1e3
    sys.stdout.write(f"{seconds[0]:.1f} {seconds[1]:.1f} {private:.0f} {resident:.0f}\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(*sys.argv[2:])
    else:
        typer.run(main)
