"""Times packed against portable scoring of one artifact, interleaved: what the constants in `runtime/` rest on.

`python -m benchmarks.packed_or_portable build/full-size-artifact --variant int8`
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.timing import medians
from onnxrank.artifact.manifest import read_manifest
from onnxrank.cli.console import show_table
from onnxrank.engine.padded import score as score_portable
from onnxrank.engine.prefix import packed_scorer
from onnxrank.engine.session import CPU, Session

# Documents, and tokens of each with the prompt's suffix.
WORKLOADS = {"50 x 33": (50, 33), "20 x 129": (20, 129), "1 x 2,048": (1, 2048)}
PACK_TOKENS = (128, 256, 512, 1024)
INSTRUCTION_TOKENS, QUERY_TOKENS = 78, 18


def main(
    artifact: Annotated[Path, typer.Argument(help="Folder with a packed graph.")],
    variant: Annotated[str, typer.Option(help="Which variant.")] = "int8",
    repeats: Annotated[int, typer.Option(help="Timings of each, of which the median is shown.")] = 3,
) -> None:
    """Print seconds per request; lower is better. The instruction's cache is warm, the query's is not."""
    manifest = read_manifest(artifact)
    files = manifest.variants[variant]
    packed = packed_scorer(artifact, files, manifest.scoring.kv_cache, None)
    assert packed
    portable = Session(artifact / files.portable, [CPU], None)
    rng = np.random.default_rng(0)
    rows = []
    for name, (count, tokens) in WORKLOADS.items():
        instruction, query = _ids(rng, INSTRUCTION_TOKENS), _ids(rng, QUERY_TOKENS)
        documents = [_ids(rng, int(tokens * factor)) for factor in rng.uniform(0.7, 1.3, count)]
        prompts = [instruction + query + document for document in documents]
        ways: dict[str, Callable[[], NDArray[np.float32]]] = {
            "portable": lambda prompts=prompts: score_portable(portable, prompts, pad_token_id=0)  # type: ignore[misc]
        }
        for budget in PACK_TOKENS:
            ways[f"packs of {budget}"] = lambda parts=(instruction, query, documents), budget=budget: packed.score(  # type: ignore[misc]
                *parts, pack_tokens=budget
            )
        rows.append([name, *(f"{seconds:.2f}" for seconds in medians(list(ways.values()), repeats))])
    show_table(f"{variant}, seconds a request", ["documents", "portable", *map(str, PACK_TOKENS)], rows)


def _ids(rng: np.random.Generator, count: int) -> tuple[int, ...]:
    return tuple(rng.integers(0, 150_000, count).tolist())


if __name__ == "__main__":
    typer.run(main)
