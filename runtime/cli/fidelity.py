"""`onnxrank fidelity`: how well an artifact's variants keep PyTorch's ranking of a person's own pairs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Scoring
from onnxrank.artifact.opening import Artifact, open_artifact
from onnxrank.artifact.schema import write
from onnxrank.cli.console import misused, show_json, show_table, warn
from onnxrank.cli.documents import TemplateOption, TextFieldOption, layout_of, warn_of_skipped
from onnxrank.cli.options import (
    ArtifactArgument,
    DimOption,
    JsonOption,
    LayersOption,
    ProgressOption,
    RevisionOption,
    SkipOption,
    ThreadsOption,
    VariantsOption,
)
from onnxrank.cli.pytorch import ask_pytorch
from onnxrank.errors import InputError
from onnxrank.progress import progress as progress_bar
from onnxrank.quality.candidates import Candidates, read_candidates
from onnxrank.quality.fidelity import Fidelity
from onnxrank.quality.fidelity import fidelity as compare
from onnxrank.quality.labels import Labels, has_labels, measure_labels
from onnxrank.quality.measures import ndcg
from onnxrank.quality.plot import check_plot, write_plot
from onnxrank.quality.reference import Reference, column_of, read_reference, scores_of, write_reference
from onnxrank.quality.shipped import open_model, score

COLUMNS = ["variant", "MB", "noise", "Kendall tau", "top-1", "flips", "RBO"]


def fidelity(
    artifact: ArtifactArgument,
    pairs: Annotated[
        Path,
        typer.Option(
            help="JSON Lines, or a JSON array: `query` and `documents`, a list of texts or of objects with `text` or "
            "fields; or `query` and `document`. `relevance`, whole numbers from 0, and `instruction` are optional. - "
            "for stdin."
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            help="The checkpoint that PyTorch scores: alias, hub id or folder; by default the artifact's source, if "
            "that is an alias, a hub id or a folder here."
        ),
    ] = None,
    variant: VariantsOption = None,
    layers: LayersOption = None,
    dim: DimOption = None,
    save_reference: Annotated[Path | None, typer.Option(help="Write PyTorch's scores to this file.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Read PyTorch's scores from a file of --save-reference; needs no PyTorch.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write a plot of scores against PyTorch's to this .svg or .png.")
    ] = None,
    text_field: TextFieldOption = None,
    document_template: TemplateOption = None,
    skip_bad: SkipOption = False,
    threads: ThreadsOption = None,
    revision: RevisionOption = None,
    progress: ProgressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how well each variant keeps PyTorch's ranking of your own queries and documents.

    `onnxrank fidelity artifacts/qwen3-reranker --against Qwen/Qwen3-Reranker-0.6B --pairs my.jsonl --plot scores.svg`

    `onnxrank fidelity artifacts/qwen3-reranker --pairs my.jsonl --variant q4 --save-reference pytorch.json`
    """
    if plot:
        check_plot(plot)
    if reference and (against or save_reference):
        raise misused("--reference takes the place of PyTorch; leave out --against and --save-reference.")
    opened = open_artifact(artifact, revision=revision)
    scoring = opened.manifest.scoring
    layout = layout_of(text_field, document_template, scoring.prompt.document_template if scoring.prompt else None)
    candidates, skipped = read_candidates(pairs, layout=layout, skip_bad=skip_bad)
    warn_of_skipped(skipped, str(pairs))
    chosen = dict(opened.variant(name) for name in variant) if variant else opened.manifest.variants
    # Before PyTorch runs, which may take long: what else can be wrong.
    candidates = _rankable(candidates, scoring, pairs)
    models = {name: open_model(opened, name, layers=layers, dim=dim, threads=threads) for name in chosen}
    if reference:
        known = read_reference(reference, opened.manifest)
    else:
        known = ask_pytorch(opened.manifest, candidates, against, progress)
    if save_reference:
        write_reference(known, save_reference)
    candidates, expected = _scored(candidates, known, column_of(scoring, layers, dim))
    found: dict[str, list[NDArray[np.float32]]] = {}
    for name, model in models.items():
        with model, progress_bar(f"scoring with {name}", sum(map(len, expected)), progress) as done:
            found[name] = []
            for one in candidates:
                found[name].append(score(model, one))
                done(len(one.documents))
    results = {name: compare(expected, scores) for name, scores in found.items()}
    labels = measure_labels(candidates, expected, found)
    megabytes = {name: sum(opened.manifest.files[f].bytes for f in v.files) / 1e6 for name, v in chosen.items()}
    if as_json:
        show_json(_data(known, results, labels, megabytes))
    else:
        _show(opened, results, labels, megabytes)
    if plot:
        write_plot(plot, f"{opened.manifest.name}: scores of {sum(map(len, expected))} documents", expected, found)


def _rankable(candidates: Sequence[Candidates], scoring: Scoring, path: Path) -> list[Candidates]:
    """Return the queries with several documents.

    Raises InputError if there are none, or instructions that the model does not take, BackendError if they have labels
    and ir-measures is not installed.
    """
    prompt = scoring.prompt or scoring.texts
    assert prompt
    for one in candidates:
        if one.instruction is not None and prompt.default_instruction is None:
            raise InputError(
                f"{path} gives the instruction {one.instruction!r:.60}, and this model takes none; leave it out."
            )
    several = [one for one in candidates if len(one.documents) > 1]
    if not several:
        raise InputError(f"{path} has one document for each query, which is no ranking; give several.")
    if any(has_labels(one) for one in several):
        ndcg([], [])  # says whether ir-measures is there
    return several


def _scored(
    candidates: Sequence[Candidates], known: Reference, column: int
) -> tuple[list[Candidates], list[NDArray[np.float32]]]:
    """Return the queries with scores, and their scores; warn about documents without."""
    kept, expected = scores_of(known, candidates, column)
    if missing := sum(len(one.documents) for one in candidates) - sum(map(len, expected)):
        warn(f"{missing} documents without a score of PyTorch's were left out.")
    if not kept:
        raise InputError("PyTorch's scores are of other queries; write them again with --save-reference.")
    return kept, expected


def _data(
    known: Reference, results: Mapping[str, Fidelity], labels: Labels | None, megabytes: Mapping[str, float]
) -> dict[str, Any]:
    reference: dict[str, Any] = {"checkpoint": known.checkpoint, "oracle": known.oracle}
    variants: dict[str, Any] = {name: {"megabytes": megabytes[name], **write(found)} for name, found in results.items()}
    if labels:
        reference |= {"labelled_queries": labels.queries, "ndcg@10": labels.ndcg}
        for name, found in labels.differences.items():
            variants[name]["ndcg@10_difference"] = write(found)
    return {"reference": reference, "variants": variants}


def _show(
    opened: Artifact, results: Mapping[str, Fidelity], labels: Labels | None, megabytes: Mapping[str, float]
) -> None:
    rows = [
        [
            name,
            f"{megabytes[name]:,.1f}",
            f"{found.noise.mean:.4f} [{found.noise.low:.4f}, {found.noise.high:.4f}]",
            f"{found.kendall_tau.mean:.4f}",
            f"{found.top1_agreement.mean:.1%}",
            f"{found.flips.mean:.3%}",
            f"{found.rank_biased_overlap.mean:.4f}",
        ]
        for name, found in results.items()
    ]
    columns = COLUMNS
    if labels:
        columns = [*COLUMNS, "nDCG@10, points"]
        points = [
            f"{100 * found.mean:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"
            for found in labels.differences.values()
        ]
        rows = [[*row, cell] for row, cell in zip(rows, points, strict=True)]
        rows.insert(0, ["PyTorch", *[""] * (len(COLUMNS) - 1), f"{100 * labels.ndcg:.2f} ({labels.queries} queries)"])
    first = next(iter(results.values()))
    title = f"{opened.manifest.name}: ranking compared with PyTorch's, {first.queries} queries, {first.pairs} documents"
    show_table(title, columns, rows)
