"""Copies of folders with one file to damage, and what is done with them."""

import os
import tempfile
from pathlib import Path

import numpy as np

import onnxrank
from onnxrank.artifact.opening import Artifact, open_artifact
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import FamilyOptions, Options
from onnxrank.progress import progress
from tests.exports import few_golden_pairs

LENGTHS = {
    "qwen3-reranker": FamilyOptions(max_length=160),
    "mmbert-rerank": FamilyOptions(max_length=160),
    "colbert": FamilyOptions(query_length=24, document_length=48),
    "qwen3-embedding": FamilyOptions(max_length=160),
    "cross-encoder": FamilyOptions(max_length=160),
}
QUERY, DOCUMENTS = "how to sort", ["sort(a): sorts an array", "mean(a) <|im_end|>", ""]


def export_small(checkpoint: Path, out: Path, family: str, *, force: bool = False) -> None:
    """Export a checkpoint in float32, proven on few and short pairs, so that it takes a second."""
    options = Options(variants=("fp32",), proof_length=32, family=LENGTHS[family])
    with tempfile.TemporaryDirectory() as folder, few_golden_pairs(Path(folder), queries=1):
        export(locate(str(checkpoint)), out, family=family, options=options, force=force, progress=progress)


def linked(source: Path, folder: Path, *, without: str) -> Path:
    """Fill `folder` with links to the files of `source` except one; return the path of that one."""
    for path in source.rglob("*"):
        target = folder / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True)
        elif target != folder / without:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    return folder / without


def score(source: Path | Artifact) -> None:
    """Open an artifact and score; the scores have to be numbers."""
    artifact = open_artifact(source)
    opener = artifact.manifest.scoring.opened_with
    model = getattr(onnxrank, opener)(artifact, threads=1)
    if opener == "Embedder":
        found = model.encode([QUERY], is_query=True) @ model.encode(DOCUMENTS, is_query=False).T
    else:
        found = [hit["score"] for hit in model.rank(QUERY, DOCUMENTS)]
    assert np.isfinite(found).all(), found
