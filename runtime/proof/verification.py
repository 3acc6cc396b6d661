"""Compares an artifact's graphs with the PyTorch scores in its golden.json."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points

import numpy as np

from onnxrank.artifact.golden import Golden, GoldenPair, by_query
from onnxrank.artifact.manifest import GOLDEN, Manifest, Parity, Scoring, Variant
from onnxrank.artifact.opening import Artifact
from onnxrank.engine.activation import activate
from onnxrank.engine.device import Device
from onnxrank.engine.padded import BATCH_TOKENS, PaddingSide
from onnxrank.engine.pair_scorer import PairScorer
from onnxrank.engine.text_scorer import TextScorer
from onnxrank.errors import ArtifactError, BackendError, ParityError
from onnxrank.progress import Done
from onnxrank.proof.parity import Logits, compare
from onnxrank.proof.tolerances import TOLERANCES, Scale
from onnxrank.text.prompt import EncodedPair, EncodedText, PromptEncoder, TextEncoder, TokenIds

# Padded graphs run with either padding side. The left-padded run has smaller batches, so that the difference shows how
# much a document's score depends on its neighbours.
PADDINGS: tuple[tuple[str, PaddingSide, int], ...] = (
    ("right padding", "right", BATCH_TOKENS),
    ("left padding", "left", 512),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """parity: the comparison with PyTorch of each run, which is a graph and a padding side. scale: of the golden logits
    that the run is compared with. batch_effect: the largest logit difference between the runs of one exit."""

    parity: dict[str, Parity]
    scale: dict[str, Scale]
    batch_effect: float


def verify_variant(
    artifact: Artifact,
    variant: Variant,
    golden: Golden,
    *,
    threads: int | None = None,
    done: Done = lambda n: None,
) -> Verification:
    """Score the golden pairs with each graph of the variant; calls `done(n)` after each n pairs.

    Raises ParityError if the prompt's token ids differ from the reference's, ArtifactError if golden.json has another
    number of logits than the model.
    """
    scoring = artifact.manifest.scoring
    pairs = golden.scored
    expected = np.array([pair.logits for pair in pairs], np.float32)
    wanted = len(scoring.matryoshka.layers) * len(scoring.matryoshka.dims) if scoring.matryoshka else 1
    if expected.shape != (len(pairs), wanted):
        raise ArtifactError(
            f"{artifact.folder / GOLDEN} has {expected.shape[-1]} logits for each pair, and this model gives {wanted}; "
            "export the artifact again."
        )
    device = Device(threads=threads)
    if scoring.prompt:
        score = partial(_score_pairs, artifact, variant, device, encode_pairs(artifact, golden), done)
    else:
        score = partial(_score_texts, artifact, variant, device, *encode_texts(artifact, golden), done)
    groups = list(by_query(pairs).values())
    parity: dict[str, Parity] = {}
    scale: dict[str, Scale] = {}
    effect = 0.0
    for layers, columns in _exits(scoring, expected).items():
        found = score(layers)
        parity |= {
            run: compare(columns, logits, groups, lambda x: activate(x, scoring.activation, scoring.logit_scale))
            for run, logits in found.items()
        }
        deviation, largest = float(np.sqrt(columns.var(axis=0, dtype=np.float64).mean())), float(np.abs(columns).max())
        scale |= dict.fromkeys(found, Scale(deviation=deviation, largest=largest))
        effect = max(effect, *(float(np.abs(a - b).max()) for a in found.values() for b in found.values()))
    return Verification(parity=parity, scale=scale, batch_effect=effect)


def runs_of(variant: Variant) -> int:
    """Return how many times `verify_variant` scores each pair."""
    return 2 * (1 + len(variant.exits)) + bool(variant.prefix)


def check_gates(name: str, verification: Verification) -> None:
    """Raise ParityError, naming variant, run, pair count and difference, if a variant exceeds its tolerance."""
    for run, parity in verification.parity.items():
        if problem := TOLERANCES[name].problem(parity, verification.scale[run]):
            raise ParityError(f"{name} ({run}, {parity.pairs} pairs) does not score like PyTorch: {problem}")


def repeat_oracle(manifest: Manifest, golden: Golden, checkpoint: str) -> Golden:
    """Score the golden pairs again with PyTorch from `checkpoint`, an alias, hub id or folder.

    Raises BackendError if the exporter is not installed.
    """
    for entry in entry_points(group="onnxrank.oracles"):
        record: Callable[..., Golden] = entry.load()
        return record(checkpoint, family=manifest.family, pairs=golden.pairs, options=manifest.options)
    raise BackendError("PyTorch's scores need the exporter: `pip install onnxrank[export]`.")


def _exits(scoring: Scoring, expected: Logits) -> dict[int | None, Logits]:
    """Return each exit's golden logits, [pairs, widths]; a model without exits has one entry, with the key None."""
    if scoring.matryoshka is None:
        return {None: expected}
    widths = len(scoring.matryoshka.dims)
    return {layers: expected[:, i * widths : (i + 1) * widths] for i, layers in enumerate(scoring.matryoshka.layers)}


def _score_pairs(
    artifact: Artifact,
    variant: Variant,
    device: Device,
    encoded: list[EncodedPair],
    done: Done,
    layers: int | None,
) -> dict[str, Logits]:
    """Return the logits [pairs, columns] of one exit, by run."""
    name = f"{layers} layers, " if layers else ""
    found = {}
    for run, padding, tokens in PADDINGS:
        scorer = PairScorer(artifact, variant, layers=layers, device=device, graph="padded", padding=padding)
        found[name + run] = scorer.score(encoded, pack_tokens=tokens, done=done)
    if variant.prefix:
        found["prefix"] = PairScorer(artifact, variant, device=device, graph="prefix").score(encoded, done=done)
    return found


def _score_texts(
    artifact: Artifact,
    variant: Variant,
    device: Device,
    queries: list[EncodedText],
    documents: list[EncodedText],
    done: Done,
    layers: int | None,
) -> dict[str, Logits]:
    """Return the similarities [pairs, 1] of queries and documents, by run."""
    found = {}
    for run, padding, tokens in PADDINGS:
        scorer = TextScorer(artifact, variant, device=device, padding=padding)
        # In separate batches, as `rank` embeds them: a query's expansion tokens may depend on the length of its row.
        query_vectors = scorer.embed(queries, is_query=True, batch_tokens=tokens)
        document_vectors = scorer.embed(documents, is_query=False, batch_tokens=tokens)
        pairs = zip(query_vectors, document_vectors, strict=True)
        similarities = [scorer.similarities(query, [document])[0] for query, document in pairs]
        found[run] = np.array(similarities, np.float32)[:, None]
        done(len(documents))
    return found


def encode_pairs(artifact: Artifact, golden: Golden) -> list[EncodedPair]:
    """Return the scored pairs' prompts. Raises ParityError if any pair's token ids differ from the reference's."""
    scoring = artifact.manifest.scoring
    assert scoring.prompt
    encoder = PromptEncoder(artifact.tokenizer, scoring.prompt, scoring.max_length)
    encoded = []
    for pair in golden.pairs:
        (found,) = encoder.pairs(pair.query, [pair.document], None, special_tokens=False)
        _check_token_ids(pair, found.token_ids, pair.token_ids)
        if pair.logits is not None:
            encoded.append(found)
    return encoded


def encode_texts(artifact: Artifact, golden: Golden) -> tuple[list[EncodedText], list[EncodedText]]:
    """Return the queries and documents of the scored pairs. Raises ParityError as `encode_pairs` does."""
    encoder = TextEncoder.of(artifact)
    queries, documents = [], []
    for pair in golden.pairs:
        (query,) = encoder.texts([pair.query], is_query=True)
        (document,) = encoder.texts([pair.document], is_query=False)
        _check_token_ids(pair, query.token_ids, pair.query_token_ids)
        _check_token_ids(pair, document.token_ids, pair.token_ids)
        if pair.logits is not None:
            queries.append(query)
            documents.append(document)
    return queries, documents


def _check_token_ids(pair: GoldenPair, found: TokenIds, expected: TokenIds) -> None:
    if found != expected:
        raise ParityError(
            f"query {pair.query!r:.60} with document {pair.document!r:.60} has other token ids than in the "
            "reference: tokenizer.json is not the tokenizer that the checkpoint was scored with."
        )
