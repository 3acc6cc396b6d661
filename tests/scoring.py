"""Runs graphs on token ids, and rerankers on the padded graph, for comparisons in tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxrank import Reranker
from onnxrank.artifact.opening import open_artifact
from onnxrank.engine.device import Device
from onnxrank.engine.padded import padded_plan, run_padded
from onnxrank.engine.pair_scorer import PairScorer
from onnxrank.engine.session import Session

Floats = NDArray[np.float32]


def padded_logits(
    session: Session,
    sequences: Sequence[Sequence[int]],
    *,
    pad_token_id: int = 0,
    pad_left: bool = False,
    batch_tokens: int | None = None,
    second_starts: Sequence[int] | None = None,
) -> Floats:
    """Return the logits [len(sequences), columns] of a padded graph."""
    batches = padded_plan(session, sequences, batch_tokens)
    starts = [[second_starts[i] for i in rows] for rows in batches] if second_starts else None
    outputs = run_padded(
        session, "logits", [[sequences[i] for i in rows] for rows in batches], second_starts=starts,
        pad_token_id=pad_token_id, pad_left=pad_left,
    )  # fmt: skip
    found = {
        i: row for rows, (output, _) in zip(batches, outputs, strict=True) for i, row in zip(rows, output, strict=True)
    }
    return np.stack([found[i] for i in range(len(sequences))])


def padded_vectors(
    session: Session,
    sequences: Sequence[Sequence[int]],
    *,
    per_token: bool,
    pad_token_id: int,
    pad_left: bool,
    attended: Sequence[int] | None = None,
) -> list[Floats]:
    """Return the vectors of all sequences, computed in one batch: [dim], or [tokens, dim] if per_token."""
    name = "token_embeddings" if per_token else "embeddings"
    ((output, tokens),) = run_padded(
        session, name, [sequences], attended=[attended] if attended else None, pad_token_id=pad_token_id,
        pad_left=pad_left,
    )  # fmt: skip
    return [row[real] if per_token else row for row, real in zip(output, tokens, strict=True)]


def on_padded_graph(folder: Path, variant: str) -> Reranker:
    """Return a reranker that runs the padded graph, as GPUs do, on the CPU."""
    artifact = open_artifact(folder)
    reranker = Reranker(artifact, variant=variant)
    _, files = artifact.variant(variant)
    reranker._scorer = PairScorer(artifact, files, device=Device(), graph="padded")
    return reranker
