"""The `export-model` command: a checkpoint in, a verified artifact folder out."""

from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar, get_args

import typer

from onnxrank.artifact.manifest import Activation, MaskedRow
from onnxrank.artifact.schema import write
from onnxrank.artifact.variants import PRECISIONS
from onnxrank.cli.console import say, show_json, show_table, warn
from onnxrank.cli.options import ProgressOption, VersionOption
from onnxrank.errors import InputError
from onnxrank.export.checkpoint.aliases import ALIASES
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.families import FAMILIES
from onnxrank.export.options import FamilyOptions, Options
from onnxrank.progress import progress as progress_bar
from onnxrank.proof.parity import PARITY_COLUMNS, accepted_losses, parity_rows
from onnxrank.quantize.methods import METHODS

T = TypeVar("T")

app = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False)

BLOCK_SIZES = (16, 32, 64, 128, 256)
HEADS = ("score", "lm")
QUALITIES = ("best", "fast")


def _flag(variant: str) -> object:
    return typer.Option(f"--{variant}", help=PRECISIONS[variant].purpose, rich_help_panel="Variants")


def _only(help_: str) -> object:
    return typer.Option(help=help_, rich_help_panel="Options of some families")


@app.command(no_args_is_help=True)
def export_model(
    source: Annotated[str | None, typer.Argument(help="Alias, hub id (owner/name) or checkpoint folder.")] = None,
    family: Annotated[
        str | None, typer.Option(help=f"{', '.join(FAMILIES)}; detected from the checkpoint if that is certain.")
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(help=f"{', '.join(PRECISIONS)}; may be repeated.", rich_help_panel="Variants"),
    ] = None,
    fp32: Annotated[bool, _flag("fp32")] = False,
    fp16: Annotated[bool, _flag("fp16")] = False,
    int8: Annotated[bool, _flag("int8")] = False,
    q4: Annotated[bool, _flag("q4")] = False,
    q4f16: Annotated[bool, _flag("q4f16")] = False,
    every: Annotated[bool, typer.Option("--all", help="all variants", rich_help_panel="Variants")] = False,
    out: Annotated[Path | None, typer.Option(help="Artifact folder; artifacts/NAME by default.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.")] = None,
    head: Annotated[
        str, typer.Option(help="score: a graph whose output is the score. lm: full vocabulary and KV cache.")
    ] = "score",
    max_length: Annotated[int | None, typer.Option(min=1, help="Tokens of the longest prompt.")] = None,
    activation: Annotated[str | None, _only("sigmoid or identity; the checkpoint's own by default.")] = None,
    layers: Annotated[int | None, _only("mmbert-rerank: export only this exit.")] = None,
    dim: Annotated[int | None, _only("mmbert-rerank: export only this width.")] = None,
    query_length: Annotated[int | None, _only("colbert: tokens of a query.")] = None,
    document_length: Annotated[int | None, _only("colbert: tokens of a document.")] = None,
    masked_row: Annotated[
        str | None, _only("colbert: mean (transformers 4) or zero (5), for expansion tokens that see no other.")
    ] = None,
    pair_template: Annotated[str | None, _only("matrix-v6-reranker: text with {query} and {document}.")] = None,
    document_template: Annotated[
        str | None, _only("matrix-v6-reranker: text of a document with fields, such as {name}: {description}.")
    ] = None,
    pooling: Annotated[str | None, _only("matrix-v6-reranker: last, if config.json does not say so.")] = None,
    backbone_config: Annotated[
        str | None, _only("matrix-v6-reranker: config.json of the body: file, folder or hub id.")
    ] = None,
    proof_length: Annotated[
        int, typer.Option(min=1, help="Tokens of the longest text that the proof scores; more takes longer.")
    ] = 512,
    block_size: Annotated[int, typer.Option(help="q4: weights that share a scale, 16 to 256.")] = 32,
    method: Annotated[str, typer.Option(help=f"q4: {', '.join(METHODS)}.")] = "gptq",
    quality: Annotated[
        str,
        typer.Option(
            help='int8, q4: "best" rounds weights by their measured effect on the score; "fast" to the nearest, in '
            "seconds.",
        ),
    ] = "best",
    calibration: Annotated[
        Path | None,
        typer.Option(help="int8, q4: JSON Lines with `query` and `documents` to measure that effect on."),
    ] = None,
    embedding_bits: Annotated[int, typer.Option(help="q4: bits of the embedding table, 8 or 4.")] = 8,
    scripts: Annotated[
        str | None,
        typer.Option(
            help="Keep only the vocabulary of these scripts, such as Latin or Latin,Greek, for a smaller download. "
            "Texts in other scripts fall back to bytes or unknown tokens, and score worse."
        ),
    ] = None,
    keep_passing: Annotated[
        bool,
        typer.Option(
            help="If a variant does not score like PyTorch, or loses too much, write the others: each failure is a "
            "warning on standard error, and the exit code is 0 unless all fail."
        ),
    ] = False,
    accept_loss: Annotated[
        bool,
        typer.Option(
            help="Write variants that lose more of PyTorch's ranking than they should; the manifest and the model card "
            "say so. What does not score like PyTorch at all is still refused."
        ),
    ] = False,
    force: Annotated[bool, typer.Option(help="Replace an existing artifact.")] = False,
    progress: ProgressOption = None,
    list_: Annotated[bool, typer.Option("--list", help="List aliases and families.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    version: VersionOption = False,
) -> None:
    """Export a reranker checkpoint to a folder of ONNX graphs, and check that they score like PyTorch.

    `export-model demo --q4`

    `export-model qwen3-reranker --int8 --q4 --out artifacts/reranker`

    `export-model ./my-finetune --family qwen3-reranker --all`

    `export-model demo-retriever --int8`, to try `onnxrank index` and `search` without a network
    """
    if list_:
        _list(as_json)
        return
    if source is None:
        raise InputError("no checkpoint was named; give an alias, hub id or folder, or see `export-model --list`.")
    _choose("--head", head, HEADS)
    _choose("--method", method, tuple(METHODS))
    _choose("--quality", quality, QUALITIES)
    _choose("--block-size", block_size, BLOCK_SIZES)
    _choose("--embedding-bits", embedding_bits, (4, 8))
    flags = {"fp32": fp32, "fp16": fp16, "int8": int8, "q4": q4, "q4f16": q4f16}
    for name in variant or ():
        _choose("--variant", name, tuple(PRECISIONS))
    variants = [name for name, wanted in flags.items() if wanted or every or name in (variant or ())] or ["q4"]
    located = locate(source, revision=revision)
    folder = out or Path("artifacts") / located.name
    failed: dict[str, str] = {}

    def left_out(variant: str, reason: str) -> None:
        failed[variant] = reason
        warn(f"warning: {variant} is left out: {reason}")

    manifest = export(
        located,
        folder,
        family=family,
        force=force,
        progress=partial(progress_bar, show=progress),
        left_out=left_out if keep_passing else None,
        options=Options(
            variants=variants,
            head=head,
            proof_length=proof_length,
            accept_loss=accept_loss,
            block_size=block_size,
            method=method,
            quality=quality,
            calibration=calibration,
            embedding_bits=embedding_bits,
            scripts=[script.strip() for script in scripts.split(",")] if scripts else (),
            family=FamilyOptions(
                max_length=max_length,
                pair_template=pair_template,
                document_template=document_template,
                activation=_choose("--activation", activation, (None, *get_args(Activation))),
                pooling=pooling,
                backbone_config=backbone_config,
                layers=layers,
                dim=dim,
                query_length=query_length,
                document_length=document_length,
                masked_row=_choose("--masked-row", masked_row, (None, *get_args(MaskedRow))),
            ),
        ),
    )
    if as_json:
        show_json({"folder": str(folder), "manifest": write(manifest), "failed": failed})
        return
    rows = [row for n, v in manifest.variants.items() for row in parity_rows(n, v)]
    show_table(f"{manifest.name}: difference from PyTorch", PARITY_COLUMNS, rows)
    for sentence in accepted_losses(manifest):
        warn(f"warning: {sentence}")
    size = sum(entry.bytes for entry in manifest.files.values())
    say(f"wrote {folder} ({size / 1e6:,.1f} MB): {', '.join(manifest.variants)}")


def _choose(option: str, value: object, choices: tuple[T, ...]) -> T:
    """Return the choice that `value` is."""
    for choice in choices:
        if choice == value:
            return choice
    raise InputError(f"{option} is {value!r}; choose one of {', '.join(str(c) for c in choices if c is not None)}.")


def _list(as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "aliases": {name: write(alias) for name, alias in ALIASES.items()},
                "families": {name: family.description for name, family in FAMILIES.items()},
            }
        )
        return
    rows = [[n, a.repo_id or "inside this package", a.family, a.parameters, a.licence] for n, a in ALIASES.items()]
    show_table("aliases", ["alias", "checkpoint", "family", "parameters", "licence"], rows)
    families = [[f.name, f.comes_as(), f.description] for f in FAMILIES.values()]
    show_table("families (--family)", ["family", "model_type", "what it is"], families)
