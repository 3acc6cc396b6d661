"""Writes the artifact's model card: its contents, its parity with PyTorch, and how to use it."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from onnxrank.artifact.hub import looks_like_repo_id
from onnxrank.artifact.manifest import Manifest
from onnxrank.artifact.variants import PRECISIONS
from onnxrank.export.checkpoint.tokenizer import read_tokenizer
from onnxrank.export.proof.evaluation import measure_labels
from onnxrank.export.proof.golden_pairs import EVALUATION
from onnxrank.proof.parity import PARITY_COLUMNS, accepted_losses, parity_rows

# The hub's names of licences that models have; it takes any other as a `license_name`.
HUB_LICENCES = {
    "afl-3.0", "agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-4.0", "cc-by-sa-4.0", "cc0-1.0", "gemma", "gpl-3.0", "lgpl-3.0", "llama2", "llama3", "llama3.1",
    "llama3.2", "llama3.3", "mit", "mpl-2.0", "openrail", "unknown",
}  # fmt: skip
PAIRS = """from onnxrank import Reranker

reranker = Reranker("{name}", variant="{variant}")  # this folder, or its hub id
reranker.rank("what is the capital of France?", ["Paris is the capital of France.", "Berlin is in Germany."])"""
TOKENS = """from onnxrank import LateInteraction

model = LateInteraction("{name}", variant="{variant}")  # this folder, or its hub id
model.rank("what is the capital of France?", ["Paris is the capital of France.", "Berlin is in Germany."])
vectors = model.encode(["Paris is the capital of France."], is_query=False)"""
TEXTS = """from onnxrank import Embedder

model = Embedder("{name}", variant="{variant}")  # this folder, or its hub id
model.encode(["what is the capital of France?"], is_query=True) @ model.encode(["Paris."], is_query=False).T"""
BROWSER = """
In a browser or Node, use the npm package `onnxrank` (WebGPU or WASM; see `docs/browser.md`):

```js
import { {opener} } from "onnxrank";

const model = await {opener}.from_pretrained("owner/name"); // its hub id, or the address of this folder
await model.rank("what is the capital of France?", ["Paris is the capital of France.", "Berlin is in Germany."]);
```
"""
PLAIN = """
Transformers.js 4.3 or later also reads this folder, with `AutoTokenizer` and `AutoModel`. The output is {output};
`reranker.json` has the prompt and says how the output becomes a score.
"""
# Usage code for vocabulary graphs that is in circulation differs from the authors' reference in these points.
RECIPE = """
`AutoModelForCausalLM` in Transformers.js reads this folder too. Use the prompt in `reranker.json`, which is that of the
authors' reference: usage code in circulation differs from it, and gives other scores. The reference has two line feeds
after `</think>`, not one, and one line feed, not two, between instruction, query and document. Truncating the finished
prompt cuts off its end, where the answer is read. exp(yes) / (exp(yes) + exp(no)) overflows for logits above 709.
"""
USAGE = """## Use

```python
{code}
```
"""


def write_card(manifest: Manifest, checkpoint: Path, folder: Path) -> None:
    """Write the artifact's README.md to `folder`; baselines come from labelled candidates in `checkpoint`, if any."""
    variants = list(manifest.variants)
    parts = [
        _metadata(manifest),
        f"# {manifest.name} (ONNX)\n",
        f"`{manifest.source.id}`"
        + (f" at `{manifest.source.revision}`" if manifest.source.revision else "")
        + f", family `{manifest.family}`, exported with onnxrank {manifest.made_with['onnxrank']}. "
        + ("Its graphs were traced by PyTorch. " if manifest.traced else "")
        + f"It reads up to {manifest.scoring.max_length} tokens.{_exits(manifest)}"
        + f"{_scripts(manifest, checkpoint, folder)}\n",
        "## Variants\n",
        _table(
            ["variant", "for", "MB", "kept in float32"],
            [
                [n, PRECISIONS[n].purpose, _megabytes(manifest, n), ", ".join(v.kept_float32) or "-"]
                for n, v in manifest.variants.items()
            ],
        ),
        _past(manifest),
        "\n## Parity with PyTorch\n",
        f"{_pairs(manifest)} were scored by transformers {manifest.made_with['transformers']} in float32 and by each "
        "graph. Noise: the root mean square of the differences within a query, over that of PyTorch's own scores, with "
        "its interval at 95 %. Tau: Kendall's, the agreement in order. nDCG@10: points won or lost against PyTorch's "
        "scores, where documents have grades. Batch effect: the most that a logit depends on the rest of its batch. "
        "`onnxrank verify` repeats the comparison.\n",
        _table(
            PARITY_COLUMNS,
            [row for n, v in manifest.variants.items() for row in parity_rows(n, v)],
        ),
    ]
    parts += [f"\n**{sentence}**\n" for sentence in accepted_losses(manifest)]
    if any(v.evaluation for v in manifest.variants.values()):
        parts += ["\n## Ranking quality\n", _quality(manifest, checkpoint / EVALUATION)]
    parts.append("\n" + _usage(manifest).replace("{name}", manifest.name).replace("{variant}", variants[0]))
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def _metadata(manifest: Manifest) -> str:
    """Return the YAML block that the hub reads; it refuses a licence or a base model unknown to it."""
    ranks = manifest.scoring.opened_with != "Embedder"
    found: dict[str, str | list[str]] = {}
    if licence := manifest.source.licence:
        found |= {"license": licence} if licence in HUB_LICENCES else {"license": "other", "license_name": licence}
    if looks_like_repo_id(manifest.source.id):  # a local folder has no page on the hub
        found |= {"base_model": manifest.source.id, "base_model_relation": "quantized"}
    found["library_name"] = "onnxrank"
    found["pipeline_tag"] = "text-ranking" if ranks else "feature-extraction"
    found["tags"] = ["onnx", "transformers.js", *(["reranker"] if ranks else [])]
    # JSON's strings are YAML's, whatever is in them.
    return "\n".join(["---", *(f"{key}: {json.dumps(value)}" for key, value in found.items()), "---\n"])


def _pairs(manifest: Manifest) -> str:
    pairs = max(parity.pairs for variant in manifest.variants.values() for parity in variant.parity.values())
    return f"The {pairs} pairs of `golden.json`"


def _exits(manifest: Manifest) -> str:
    matryoshka = manifest.scoring.matryoshka
    if matryoshka is None:
        return ""
    layers, dims = (", ".join(map(str, choices)) for choices in (matryoshka.layers, matryoshka.dims))
    return f" It has exits after {layers} layers and widths {dims}; choose with `layers=` and `dim=`."


def _scripts(manifest: Manifest, checkpoint: Path, folder: Path) -> str:
    if "scripts" not in manifest.options:
        return ""
    kept, of = (read_tokenizer(place).get_vocab_size() for place in (folder, checkpoint))
    return (
        f" Its vocabulary is cut to {manifest.options['scripts']}: {kept:,} of {of:,} tokens are kept. Texts in these "
        "scripts score as before; others fall back to bytes or unknown tokens, and score worse."
    )


def _past(manifest: Manifest) -> str:
    """Return what makes scores with the default instruction more exact."""
    names = [name for name, variant in manifest.variants.items() if variant.past]
    if not names:
        return ""
    assert manifest.scoring.prompt
    default = manifest.scoring.prompt.default_instruction is not None
    part = "the prompt up to the end of the default instruction" if default else "the prompt's fixed beginning"
    remark = " Another instruction is computed by the variant itself and is less exact." if default else ""
    return (
        f"\n{' and '.join(names)} on CPUs and WASM: the keys and values of {part} are float32's, rounded to float16, "
        f"and are read from a file.{remark}\n"
    )


def _usage(manifest: Manifest) -> str:
    scoring = manifest.scoring
    if scoring.late_interaction:
        code, output = TOKENS, f"`token_embeddings` `[batch_size, sequence_length, {scoring.late_interaction.dim}]`"
    elif scoring.texts:
        code, output = TEXTS, "`embeddings` `[batch_size, dim]`"
    elif scoring.readout:
        code, output = PAIRS, "`logits` `[batch_size, sequence_length, vocabulary]`"
    else:
        columns = len(scoring.matryoshka.dims) if scoring.matryoshka else 1
        code, output = PAIRS, f"`logits` `[batch_size, {columns}]`, raw scores"
    browser = "" if scoring.opened_with == "Embedder" else BROWSER.replace("{opener}", scoring.opened_with)
    recipe = RECIPE if scoring.readout and manifest.family == "qwen3-reranker" else ""
    return USAGE.format(code=code) + browser + PLAIN.format(output=output) + recipe


def _quality(manifest: Manifest, path: Path) -> str:
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    relevance = [entry["relevance"] for entry in entries]
    rng = random.Random(0)
    rows = {"random order": measure_labels(relevance, [[rng.random() for _ in row] for row in relevance])}
    if all("bm25" in entry for entry in entries):
        rows["BM25"] = measure_labels(relevance, [entry["bm25"] for entry in entries])
    rows |= {name: v.evaluation for name, v in manifest.variants.items() if v.evaluation}
    names = list(next(iter(rows.values())))
    table = _table(["", *names], [[label, *(f"{values[n]:.4f}" for n in names)] for label, values in rows.items()])
    return f"{len(entries)} held-out queries with {len(relevance[0])} candidates each.\n\n{table}"


def _megabytes(manifest: Manifest, name: str) -> str:
    return f"{sum(manifest.files[file].bytes for file in manifest.variants[name].files) / 1e6:.1f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in (header, *rows)]
    lines = [escaped[0], ["---"] * len(header), *escaped[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
