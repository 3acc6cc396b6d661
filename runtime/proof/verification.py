"""Compares an artifact's graphs with the PyTorch scores in its golden.json."""

from collections.abc import Callable
from dataclasses import dataclass, replace
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

# How each graph batches the pairs, in tokens of a batch. One pair at a time shows how much a score depends on its
# neighbours.
PADDED: tuple[tuple[str, PaddingSide, int], ...] = (
    ("right padding", "right", BATCH_TOKENS),
    ("left padding", "left", BATCH_TOKENS),
    ("alone", "right", 1),
)
PREFIX: tuple[tuple[str, int | None], ...] = (("prefix", None), ("prefix, alone", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """parity: the comparison with PyTorch of each run, which is a graph and how it batches. scale: of the golden logits
    that the run is compared with. batch_effect: the largest logit difference between runs of one graph, which differ in
    a pair's neighbours and padding alone. graph_difference: the largest between the padded and the prefix graph; 0 if
    there is one graph."""

    parity: dict[str, Parity]
    scale: dict[str, Scale]
    batch_effect: float
    graph_difference: float

    def recorded(self, variant: Variant) -> Variant:
        """Return the variant with these figures."""
        return replace(
            variant,
            parity=self.parity,
            batch_effect=self.batch_effect,
            graph_difference=self.graph_difference,
        )


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
    effect = difference = 0.0
    for layers, columns in _exits(scoring, expected).items():
        graphs = score(layers)
        runs = {run: logits for graph in graphs for run, logits in graph.items()}
        parity |= {
            run: compare(columns, logits, groups, lambda x: activate(x, scoring.activation, scoring.logit_scale))
            for run, logits in runs.items()
        }
        deviation, largest = float(np.sqrt(columns.var(axis=0, dtype=np.float64).mean())), float(np.abs(columns).max())
        scale |= dict.fromkeys(runs, Scale(deviation=deviation, largest=largest))
        effect = max(effect, *(_spread(*graph.values()) for graph in graphs))
        difference = max(difference, _spread(*(next(iter(graph.values())) for graph in graphs)))
    return Verification(parity=parity, scale=scale, batch_effect=effect, graph_difference=difference)


def runs_of(variant: Variant) -> int:
    """Return how many times `verify_variant` scores each pair."""
    return len(PADDED) * (1 + len(variant.exits)) + (len(PREFIX) if variant.prefix else 0)


def check_gates(name: str, verification: Verification) -> None:
    """Raise ParityError, naming variant, run, pair count and difference, if a variant exceeds its tolerance."""
    tolerance = TOLERANCES[name]
    for run, parity in verification.parity.items():
        if problem := tolerance.problem(parity, verification.scale[run]):
            raise ParityError(f"{name} ({run}, {parity.pairs} pairs) does not score like PyTorch: {problem}")
    # Of several exits, the widest scale: the effect is the largest of all.
    scale = max(verification.scale.values(), key=lambda scale: scale.deviation)
    if problem := tolerance.batch_problem(verification.batch_effect, scale):
        raise ParityError(f"{name} depends on its batches: {problem}")


def repeat_oracle(
    manifest: Manifest,
    golden: Golden,
    checkpoint: str,
    *,
    revision: str | None = None,
    instruction: str | None = None,
    done: Done = lambda count: None,
) -> Golden:
    """Score the golden pairs again with PyTorch from `checkpoint`, an alias, hub id or folder.

    revision: of a hub id. instruction: instead of the model's default. `done(1)` is called after each pair.
    Raises BackendError if the exporter is not installed.
    """
    for entry in entry_points(group="onnxrank.oracles"):
        try:
            record: Callable[..., Golden] = entry.load()
        except ModuleNotFoundError as error:
            if str(error.name).startswith("onnxrank"):
                raise
            raise BackendError(
                f"PyTorch's scores need the exporter, and {error.name} is not installed: "
                "`pip install onnxrank[export]`."
            ) from error
        return record(
            checkpoint,
            revision=revision,
            family=manifest.family,
            pairs=golden.pairs,
            options=manifest.options,
            instruction=instruction,
            done=done,
        )
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
) -> list[dict[str, Logits]]:
    """Return the logits [pairs, columns] of one exit, for each graph by run."""
    name = f"{layers} layers, " if layers else ""
    padded, prefix = {}, {}
    for run, padding, tokens in PADDED:
        scorer = PairScorer(artifact, variant, layers=layers, device=device, graph="padded", padding=padding)
        padded[name + run] = scorer.score(encoded, pack_tokens=tokens, done=done)
    if not variant.prefix:
        return [padded]
    scorer = PairScorer(artifact, variant, device=device, graph="prefix")
    for run, pack_tokens in PREFIX:
        prefix[run] = scorer.score(encoded, pack_tokens=pack_tokens, done=done)
    return [padded, prefix]


def _score_texts(
    artifact: Artifact,
    variant: Variant,
    device: Device,
    queries: list[EncodedText],
    documents: list[EncodedText],
    done: Done,
    layers: int | None,
) -> list[dict[str, Logits]]:
    """Return the similarities [pairs, 1] of queries and documents, for each graph by run."""
    found = {}
    for run, padding, tokens in PADDED:
        scorer = TextScorer(artifact, variant, device=device, padding=padding)
        # In separate batches, as `rank` embeds them: a query's expansion tokens may depend on the length of its row.
        query_vectors = scorer.embed(queries, is_query=True, batch_tokens=tokens)
        document_vectors = scorer.embed(documents, is_query=False, batch_tokens=tokens)
        pairs = zip(query_vectors, document_vectors, strict=True)
        similarities = [scorer.similarities(query, [document])[0] for query, document in pairs]
        found[run] = np.array(similarities, np.float32)[:, None]
        done(len(documents))
    return [found]


def _spread(first: Logits, *others: Logits) -> float:
    """Return the largest difference from `first`."""
    return max((float(np.abs(first - other).max()) for other in others), default=0.0)


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
