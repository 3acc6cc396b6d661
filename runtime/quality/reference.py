"""PyTorch's scores of a person's own pairs, in a file: PyTorch is the slow part of a comparison."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.manifest import Manifest, Scoring
from onnxrank.artifact.schema import SchemaError, parse, read, write
from onnxrank.errors import InputError, OutputError, one_line
from onnxrank.quality.candidates import Candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPair:
    """A pair and its logits: one, or all exits (deepest first) by widths (widest first) of a matryoshka model.
    instruction: None for the model's default."""

    query: str
    document: str
    instruction: str | None
    logits: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """checkpoint: what was scored. family, options: the manifest's, on which the scores depend. oracle: the library
    versions that computed them."""

    checkpoint: str
    family: str
    options: dict[str, str | int | bool]
    oracle: dict[str, str]
    pairs: tuple[ScoredPair, ...]


def read_reference(path: Path, manifest: Manifest) -> Reference:
    """Raises InputError if the file cannot be read, or its scores are of a model with another family or options."""
    try:
        found = read(Reference, parse(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, SchemaError) as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}); write it again with --save-reference.") from error
    if (found.family, found.options) != (manifest.family, manifest.options):
        raise InputError(
            f"{path} has the scores of a {found.family} with the options {found.options}, and this artifact is a "
            f"{manifest.family} with the options {manifest.options}; write it again with --save-reference."
        )
    matryoshka = manifest.scoring.matryoshka
    wanted = len(matryoshka.layers) * len(matryoshka.dims) if matryoshka else 1
    if any(len(pair.logits) != wanted for pair in found.pairs):
        raise InputError(f"{path} lacks some of the {wanted} logits of a pair; write it again with --save-reference.")
    return found


def write_reference(reference: Reference, path: Path) -> None:
    """Raises OutputError if the file cannot be written."""
    try:
        path.write_text(json.dumps(write(reference), ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); choose another file.") from error


def scores_of(
    reference: Reference, candidates: Sequence[Candidates], column: int
) -> tuple[list[Candidates], list[NDArray[np.float32]]]:
    """Return the queries with the documents that have scores, if these are at least two, and their scores [documents].

    column: which of a pair's logits, from `column_of`.
    """
    logits = {(pair.instruction, pair.query, pair.document): pair.logits for pair in reference.pairs}
    kept: list[Candidates] = []
    scores: list[NDArray[np.float32]] = []
    for one in candidates:
        found = [logits.get((one.instruction, one.query, document)) for document in one.documents]
        rows = [i for i, row in enumerate(found) if row is not None]
        if len(rows) < 2:
            continue
        documents = tuple(one.documents[i] for i in rows)
        relevance = one.relevance and tuple(one.relevance[i] for i in rows)
        kept.append(replace(one, documents=documents, relevance=relevance))
        scores.append(np.array([row[column] for row in found if row is not None], np.float32))
    return kept, scores


def column_of(scoring: Scoring, layers: int | None, dim: int | None) -> int:
    """Return which of a pair's logits belongs to an exit and a width; by default the deepest and widest."""
    if scoring.matryoshka is None:
        return 0
    exits, widths = scoring.matryoshka.layers, scoring.matryoshka.dims
    return (exits.index(layers) if layers else 0) * len(widths) + (widths.index(dim) if dim else 0)
