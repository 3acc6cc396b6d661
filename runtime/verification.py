"""Compares an artifact's graphs with the PyTorch scores in its golden.json."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np

from onnxrank.artifact import TOKENIZER, Artifact
from onnxrank.errors import BackendError, ParityError
from onnxrank.golden import Golden, GoldenPair, by_query
from onnxrank.manifest import Manifest, Parity, Variant
from onnxrank.packed import PackedScorer
from onnxrank.parity import Logits, compare
from onnxrank.portable import BATCH_TOKENS
from onnxrank.portable import score as score_portable
from onnxrank.prompt import EncodedDocument, EncodedQuery, PromptEncoder
from onnxrank.session import CPU, Session
from onnxrank.tolerances import TOLERANCES

Done = Callable[[int], None]

# Other batches than the right-padded run's, so that the two show what a document's neighbours do to its score.
OTHER_BATCH_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Parity with PyTorch per way of scoring, and the largest logit difference between these ways."""

    parity: dict[str, Parity]
    batch_effect: float


def verify_variant(
    artifact: Artifact,
    variant: Variant,
    golden: Golden,
    *,
    threads: int | None = None,
    done: Done = lambda n: None,
) -> Verification:
    """Score the golden pairs in each way the variant can be scored; `done(n)` after each n pairs.

    Raises ParityError if the prompt's token ids differ from the reference's.
    """
    manifest = artifact.manifest
    pairs = golden.scored
    encoded = encode_golden(artifact, golden)
    expected = np.array([pair.logit for pair in pairs], np.float32)
    found = _score_all(artifact.folder, manifest, variant, pairs, encoded, threads, done)
    groups = list(by_query(pairs).values())
    return Verification(
        parity={way: compare(expected, logits, groups, manifest.activation) for way, logits in found.items()},
        batch_effect=max(float(np.abs(a - b).max()) for a in found.values() for b in found.values()),
    )


def ways_of(variant: Variant) -> int:
    """Return how many times `verify_variant` scores each pair."""
    return 3 if variant.packed else 2


def encode_golden(artifact: Artifact, golden: Golden) -> list[tuple[EncodedQuery, EncodedDocument]]:
    """Return the scored pairs' prompts; raise ParityError if any pair's token ids are not the reference's."""
    encoder = PromptEncoder(artifact.folder / TOKENIZER, artifact.manifest.prompt, artifact.manifest.max_length)
    encoded = []
    for pair in golden.pairs:
        query = encoder.query(pair.query, None, special_tokens=False)
        (document,) = encoder.documents([pair.document], query, special_tokens=False)
        if query.token_ids + document.token_ids != pair.token_ids:
            raise ParityError(
                f"query {pair.query!r:.60} with document {pair.document!r:.60} gives other token ids than the "
                "reference; this tokenizer merges text across the places where the prompt is cut."
            )
        if pair.logit is not None:
            encoded.append((query, document))
    return encoded


def check_gates(name: str, verification: Verification, golden: Golden) -> None:
    """Raise ParityError, naming variant, way, pair count and difference, where a variant strays too far."""
    spread = float(np.std([pair.logit for pair in golden.scored if pair.logit is not None]))
    for way, parity in verification.parity.items():
        if problem := TOLERANCES[name].problem(parity, spread):
            raise ParityError(f"{name} ({way}, {parity.pairs} pairs) does not score like PyTorch: {problem}")


def repeat_oracle(manifest: Manifest, golden: Golden, checkpoint: str) -> Golden:
    """Score the golden pairs anew with PyTorch from `checkpoint`, an alias, hub id or folder.

    Raises BackendError if the exporter is not installed.
    """
    for entry in entry_points(group="onnxrank.oracles"):
        record: Callable[..., Golden] = entry.load()
        return record(checkpoint, family=manifest.family, pairs=golden.pairs, max_length=manifest.max_length)
    raise BackendError("PyTorch's scores need the exporter: `pip install onnxrank[export]`.")


def _score_all(
    folder: Path,
    manifest: Manifest,
    variant: Variant,
    pairs: Sequence[GoldenPair],
    encoded: Sequence[tuple[EncodedQuery, EncodedDocument]],
    threads: int | None,
    done: Done,
) -> dict[str, Logits]:
    session = Session(folder / variant.portable, [CPU], threads)
    found = {
        way: score_portable(
            session,
            [pair.token_ids for pair in pairs],
            pad_token_id=manifest.pad_token_id,
            readout=manifest.readout,
            pad_left=left,
            batch_tokens=budget,
            done=done,
        )
        for way, left, budget in (
            ("right padding", False, BATCH_TOKENS),
            ("left padding", True, OTHER_BATCH_TOKENS),
        )
    }
    if variant.packed and manifest.kv_cache:
        scorer = PackedScorer(Session(folder / variant.packed, [CPU], threads), manifest.kv_cache)
        logits = np.empty(len(pairs), np.float32)
        for rows in by_query(pairs).values():
            query = encoded[rows[0]][0]
            documents = [encoded[i][1].token_ids for i in rows]
            logits[rows] = scorer.score(query.instruction, query.query, documents, done=done)
        found["packed"] = logits
    return found
