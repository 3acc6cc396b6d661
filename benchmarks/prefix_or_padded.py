"""Times the prefix graph with several batch sizes against the padded graph. The constants in `runtime/engine/` come
from this.

`python -m benchmarks.prefix_or_padded build/full-size-artifact --variant int8`
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.timing import medians
from onnxrank.artifact.opening import open_artifact
from onnxrank.cli.console import show_table
from onnxrank.engine.device import Device
from onnxrank.engine.pair_scorer import PairScorer
from onnxrank.text.prompt import EncodedPair

# Documents, and tokens of each with the prompt's suffix.
WORKLOADS = {"50 x 33": (50, 33), "20 x 129": (20, 129), "1 x 2,048": (1, 2048)}
PACK_TOKENS = (128, 256, 512, 1024)
INSTRUCTION_TOKENS, QUERY_TOKENS = 78, 18


def main(
    artifact: Annotated[Path, typer.Argument(help="Folder with a prefix graph.")],
    variant: Annotated[str, typer.Option(help="Which variant.")] = "int8",
    repeats: Annotated[int, typer.Option(help="Timings of each; the median is shown.")] = 3,
) -> None:
    """Print seconds per request. The instruction's cache is warm, and after the first round also the query's."""
    opened = open_artifact(artifact)
    _, files = opened.variant(variant)
    prefix, padded = (PairScorer(opened, files, device=Device(), graph=graph) for graph in ("prefix", "padded"))
    rng = np.random.default_rng(0)
    rows = []
    for name, (count, tokens) in WORKLOADS.items():
        instruction, query = _ids(rng, INSTRUCTION_TOKENS), _ids(rng, QUERY_TOKENS)
        pairs = [
            EncodedPair(instruction=instruction, query=query, document=_ids(rng, int(tokens * factor)), truncated=False)
            for factor in rng.uniform(0.7, 1.3, count)
        ]
        runs = [partial(padded.score, pairs), *(partial(prefix.score, pairs, pack_tokens=n) for n in PACK_TOKENS)]
        rows.append([name, *(f"{seconds:.2f}" for seconds in medians(runs, repeats))])
    show_table(f"{variant}, seconds a request", ["documents", "padded", *map(str, PACK_TOKENS)], rows)


def _ids(rng: np.random.Generator, count: int) -> tuple[int, ...]:
    return tuple(rng.integers(0, 150_000, count).tolist())


if __name__ == "__main__":
    typer.run(main)
