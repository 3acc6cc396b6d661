"""The artifact's model card: what is in it, how close to PyTorch it scores, and how to use it."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from onnxrank.export.evaluation import measure
from onnxrank.export.golden_pairs import EVALUATION
from onnxrank.manifest import Manifest
from onnxrank.parity import PARITY_COLUMNS, parity_rows
from onnxrank.quantize.variants import VARIANTS

USAGE = """## Use

```python
from onnxrank import Reranker

reranker = Reranker("{name}", variant="{variant}")  # this folder, or its hub id
reranker.rank("what is the capital of France?", ["Paris is the capital of France.", "Berlin is in Germany."])
```

In JavaScript, load it with Transformers.js 4.3 or later: `AutoTokenizer` and `AutoModel` read this folder as it is;
the output `logits` is `[batch_size, 1]`, the raw score, and `reranker.json` holds the prompt and the activation.
"""


def write_card(manifest: Manifest, checkpoint: Path, folder: Path) -> None:
    """Write README.md of the artifact in `folder`; labelled candidates in `checkpoint` give the baselines."""
    variants = list(manifest.variants)
    licence = f"license: {manifest.source.licence}\n" if manifest.source.licence else ""
    parts = [
        f"---\n{licence}base_model: {manifest.source.id}\nlibrary_name: onnxrank\n"
        "pipeline_tag: text-ranking\ntags: [onnx, reranker, transformers.js]\n---\n",
        f"# {manifest.name} (ONNX)\n",
        f"Reranker `{manifest.source.id}`"
        + (f" at `{manifest.source.revision}`" if manifest.source.revision else "")
        + f", family `{manifest.family}`, exported with onnxrank {manifest.made_with['onnxrank']}. "
        f"Prompts hold up to {manifest.scoring.max_length} tokens.\n",
        "## Variants\n",
        _table(
            ["variant", "for", "MB", "kept in float32"],
            [
                [n, VARIANTS[n].purpose, _megabytes(manifest, n), ", ".join(v.kept_float32) or "-"]
                for n, v in manifest.variants.items()
            ],
        ),
        "\n## Parity with PyTorch\n",
        f"Differences from transformers {manifest.made_with['transformers']} in float32, each graph and padding side, "
        "over the pairs of `golden.json`. Batch effect: how far a document's logit moves with what it is batched "
        "with. Repeat it with `onnxrank verify`.\n",
        _table(
            PARITY_COLUMNS,
            [row for n, v in manifest.variants.items() for row in parity_rows(n, v.parity, v.batch_effect)],
        ),
    ]
    if any(v.evaluation for v in manifest.variants.values()):
        parts += ["\n## Ranking quality\n", _quality(manifest, checkpoint / EVALUATION)]
    parts.append("\n" + USAGE.format(name=manifest.name, variant=variants[0]))
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def _quality(manifest: Manifest, path: Path) -> str:
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    relevance = [entry["relevance"] for entry in entries]
    rng = random.Random(0)
    rows = {"random order": measure(relevance, [[rng.random() for _ in row] for row in relevance])}
    if all("bm25" in entry for entry in entries):
        rows["BM25"] = measure(relevance, [entry["bm25"] for entry in entries])
    rows |= {name: v.evaluation for name, v in manifest.variants.items() if v.evaluation}
    names = list(next(iter(rows.values())))
    table = _table(["", *names], [[label, *(f"{values[n]:.4f}" for n in names)] for label, values in rows.items()])
    return f"{len(entries)} held-out queries with {len(relevance[0])} candidates each.\n\n{table}"


def _megabytes(manifest: Manifest, name: str) -> str:
    return f"{sum(manifest.files[file].bytes for file in manifest.variants[name].files) / 1e6:.1f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
