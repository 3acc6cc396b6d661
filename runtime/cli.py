"""The `onnxrank` command: rank texts with an artifact, verify it, look into it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from onnxrank import demo_cli, retrieval_cli
from onnxrank.artifact import open_artifact
from onnxrank.console import run, say, shorten, show_json, show_table, warn
from onnxrank.corpus import read_corpus
from onnxrank.errors import InputError
from onnxrank.golden import read_golden
from onnxrank.late_interaction import LateInteraction
from onnxrank.long_documents import CASES, POSITIONS, LongDocuments, long_document_rows, run_long_documents
from onnxrank.manifest import Variant
from onnxrank.parity import PARITY_COLUMNS, parity_rows
from onnxrank.progress import progress
from onnxrank.records import Document, texts_of
from onnxrank.reranker import Reranker
from onnxrank.schema import write
from onnxrank.verification import Verification, check_gates, repeat_oracle, verify_variant, ways_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)

app.add_typer(retrieval_cli.app)
app.add_typer(demo_cli.app)

ArtifactArgument = Annotated[str, typer.Argument(help="Folder that export-model wrote, or a hub id.")]
VariantOption = Annotated[
    str | None, typer.Option(help="fp32, fp16, int8, q4 or q4f16; the artifact's first by default.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Cores to use; all by default.")]
LayersOption = Annotated[int | None, typer.Option(help="Matryoshka model: stop after this many layers.")]
DimOption = Annotated[int | None, typer.Option(help="Matryoshka model: use this many dimensions.")]
RevisionOption = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


@app.command()
def rank(
    artifact: ArtifactArgument,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Documents; or use --documents.")] = None,
    documents: Annotated[
        Path | None,
        typer.Option(
            help="File with a document a line, or JSON Lines with a `text`, or fields such as `name`; - for stdin."
        ),
    ] = None,
    variant: VariantOption = None,
    layers: LayersOption = None,
    dim: DimOption = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Show only the best.")] = None,
    instruction: Annotated[str | None, typer.Option(help="What counts as relevant, in a sentence.")] = None,
    raw: Annotated[bool, typer.Option(help="Show raw logits instead of the model's scores.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out broken lines of JSON Lines.")] = False,
    max_length: Annotated[int | None, typer.Option(help="Cut prompts to this many tokens.")] = None,
    threads: ThreadsOption = None,
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rank documents by relevance to a query.

    `onnxrank rank artifacts/demo "sort an array" "sort(a): ..." "mean(a): ..."`

    `onnxrank rank artifacts/demo "sort an array" --documents docs.txt --top-k 3`
    """
    candidates: list[Document] = [*(texts or []), *(_read_documents(documents, skip_bad) if documents else [])]
    opened = open_artifact(artifact, revision=revision)
    model: Reranker | LateInteraction
    if opened.manifest.scoring.late_interaction:
        options = {
            "--layers": layers, "--dim": dim, "--instruction": instruction, "--max-length": max_length, "--raw": raw,
        }  # fmt: skip
        if given := [name for name, value in options.items() if value not in (None, False)]:
            raise InputError(f"{artifact} compares the vectors of tokens, which takes no {given[0]}; leave it out.")
        model = LateInteraction(artifact, variant=variant, threads=threads, revision=revision)
        hits = model.rank(query, texts_of(candidates, None, "documents"), top_k=top_k, return_documents=True)
    else:
        model = Reranker(
            artifact,
            variant=variant,
            layers=layers,
            dim=dim,
            threads=threads,
            revision=revision,
            max_length=max_length,
        )
        hits = model.rank(
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
            escape(shorten(hit["text"])) + (" [dim](cut)[/]" if hit["truncated"] else ""),
        ]
        for i, hit in enumerate(hits)
    ]
    show_table(f"{query!r} ({model.manifest.name}, {model.variant})", ["", "score", "document"], rows)


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
        check_gates(name, result)


@app.command()
def long_documents(
    artifacts: Annotated[list[str], typer.Argument(help="Folders that export-model wrote, or hub ids.")],
    max_length: Annotated[
        list[int] | None, typer.Option(help="Cut prompts to this many tokens; several are compared.")
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Length of a document, about.")] = 1500,
    variant: VariantOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the answer at the start and at the end of long documents: what is cut away cannot be found.

    `onnxrank long-documents artifacts/mmbert-rerank --max-length 512 --max-length 8192`
    """
    results: dict[str, list[LongDocuments]] = {}
    for artifact in artifacts:
        limits: Sequence[int | None] = max_length or [None]
        rerankers = [Reranker(artifact, variant=variant, threads=threads, max_length=limit) for limit in limits]
        with progress(f"scoring {artifact}", len(rerankers) * len(CASES) * len(POSITIONS)) as done:
            results[artifact] = [run_long_documents(reranker, tokens=tokens, done=done) for reranker in rerankers]
    if as_json:
        show_json({artifact: [write(result) for result in found] for artifact, found in results.items()})
        return
    rows = [row for artifact, found in results.items() for row in long_document_rows(artifact, found)]
    columns = ["artifact", "max_length", *(f"answer at {position}" for position in POSITIONS), "documents cut"]
    show_table(f"{len(CASES)} cases, documents of about {tokens} tokens", columns, rows)


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


def _read_documents(path: Path, skip_bad: bool) -> list[Document]:
    if path.suffix == ".jsonl":
        entries, skipped = read_corpus(path, skip_bad=skip_bad)
        if skipped:
            warn(f"{skipped} lines of {path} were skipped.")
        return [entry.document for entry in entries]
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}); give a UTF-8 text file.") from error
    return [line for line in text.splitlines() if line.strip()]
