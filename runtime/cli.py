"""The `onnxrank` command: rank texts with an artifact, verify it, look into it."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from onnxrank.artifact import open_artifact
from onnxrank.console import run, say, show_json, show_table
from onnxrank.errors import InputError
from onnxrank.golden import read_golden
from onnxrank.manifest import Variant
from onnxrank.parity import PARITY_COLUMNS, parity_rows
from onnxrank.progress import progress
from onnxrank.reranker import Reranker
from onnxrank.schema import write
from onnxrank.verification import Verification, check_gates, repeat_oracle, verify_variant, ways_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)

ArtifactArgument = Annotated[str, typer.Argument(help="Folder that export-model wrote, or a hub id.")]
VariantOption = Annotated[
    str | None, typer.Option(help="fp32, fp16, int8, q4 or q4f16; the artifact's first by default.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads inside one operator.")]
RevisionOption = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


@app.command()
def rank(
    artifact: ArtifactArgument,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Documents; or use --documents.")] = None,
    documents: Annotated[
        Path | None,
        typer.Option(help="File with a document a line, or JSON Lines with a `text` each; - for stdin."),
    ] = None,
    variant: VariantOption = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Show only the best.")] = None,
    instruction: Annotated[str | None, typer.Option(help="What counts as relevant, in a sentence.")] = None,
    raw: Annotated[bool, typer.Option(help="Show raw logits instead of the model's scores.")] = False,
    max_length: Annotated[int | None, typer.Option(help="Cut prompts to this many tokens.")] = None,
    threads: ThreadsOption = None,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank documents by relevance to a query.

    `onnxrank rank artifacts/demo "sort an array" "sort(a): ..." "mean(a): ..."`

    `onnxrank rank artifacts/demo "sort an array" --documents docs.txt --top-k 3`
    """
    candidates = [*(texts or []), *(_read_documents(documents) if documents else [])]
    reranker = Reranker(artifact, variant=variant, threads=threads, revision=revision, max_length=max_length)
    hits = reranker.rank(
        query,
        candidates,
        top_k=top_k,
        return_documents=True,
        instruction=instruction,
        activation="identity" if raw else None,
    )
    if as_json:
        show_json(hits)
        return
    rows = [
        [
            str(i + 1),
            f"{hit['score']:.4f}",
            escape(_shorten(hit["text"])) + (" [dim](cut)[/]" if hit["truncated"] else ""),
        ]
        for i, hit in enumerate(hits)
    ]
    show_table(f"{query!r} ({reranker.manifest.name}, {reranker.variant})", ["", "score", "document"], rows)


@app.command()
def verify(
    artifact: ArtifactArgument,
    variant: Annotated[str | None, typer.Option(help="Only this variant; all by default.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Score the golden pairs anew with PyTorch from this checkpoint.")
    ] = None,
    threads: ThreadsOption = None,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every file's hash and compare every graph's scores with PyTorch's.

    `onnxrank verify artifacts/qwen3-reranker --against Qwen/Qwen3-Reranker-0.6B`
    """
    opened = open_artifact(artifact, revision=revision)
    chosen = dict([opened.variant(variant)]) if variant else opened.manifest.variants
    opened.fetch(*opened.manifest.files)
    golden = read_golden(opened.folder)
    if against:
        golden = repeat_oracle(opened.manifest, golden, against)
    results: dict[str, Verification] = {}
    for name, files in chosen.items():
        with progress(f"verifying {name}", len(golden.scored) * ways_of(files)) as done:
            results[name] = verify_variant(opened, files, golden, threads=threads, done=done)
    if as_json:
        show_json({name: write(result) for name, result in results.items()})
    else:
        rows = [row for name, r in results.items() for row in parity_rows(name, r.parity, r.batch_effect)]
        show_table(f"{opened.manifest.name}: difference from PyTorch", PARITY_COLUMNS, rows)
    for name, result in results.items():
        check_gates(name, result, golden)


@app.command()
def info(artifact: ArtifactArgument, revision: RevisionOption = None, as_json: JsonOption = False) -> None:
    """Show what an artifact holds: source, prompt, variants, sizes, parity.

    `onnxrank info artifacts/demo`
    """
    manifest = open_artifact(artifact, revision=revision).manifest
    if as_json:
        show_json(write(manifest))
        return
    source = manifest.source
    say(f"{manifest.name}: {source.id}{f' at {source.revision}' if source.revision else ''}")
    scoring = manifest.scoring
    traced = ", traced by PyTorch" if manifest.traced else ""
    say(f"family {manifest.family}{traced}, up to {scoring.max_length} tokens, activation {scoring.activation}")
    reads = scoring.prompt or scoring.texts
    if reads and reads.default_instruction:
        say(f"instruction: {reads.default_instruction}")
    if scoring.matryoshka:
        exits, widths = (
            ", ".join(map(str, choices)) for choices in (scoring.matryoshka.layers, scoring.matryoshka.dims)
        )
        say(f"exits after layers {exits}; widths {widths}")
    rows = [
        [name, f"{sum(manifest.files[f].bytes for f in v.files) / 1e6:,.1f}", *(_facts(v))]
        for name, v in manifest.variants.items()
    ]
    show_table("variants", ["variant", "MB", "settings", "kept in float32"], rows)
    rows = [row for n, v in manifest.variants.items() for row in parity_rows(n, v.parity, v.batch_effect)]
    show_table("difference from PyTorch", PARITY_COLUMNS, rows)


def main() -> None:
    """Entry point of the console script."""
    run(app)


def _facts(variant: Variant) -> tuple[str, str]:
    settings = ", ".join(f"{key} {value}" for key, value in variant.settings.items())
    return settings or "-", ", ".join(variant.kept_float32) or "-"


def _read_documents(path: Path) -> list[str]:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a UTF-8 text file.") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if path.suffix == ".jsonl":
        return [_text_of(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    return lines


def _text_of(line: str, place: str) -> str:
    try:
        entry: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{place} is no JSON ({error}); give an object with a `text` on each line.") from error
    text = entry.get("text") if isinstance(entry, dict) else entry
    if not isinstance(text, str):
        raise InputError(f"{place} has no `text` that is a string; give an object with a `text` on each line.")
    return text


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 110 else f"{line[:109]}…"
