"""Compares an artifact's graphs with the PyTorch scores in its golden.json."""

from collections.abc import Callable, Sequence
from contextlib import closing
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
from onnxrank.text.body import TokenIds
from onnxrank.text.prompt import EncodedPair, EncodedText, PromptEncoder, TextEncoder

# All pairs are scored in batches, by the padded graph with padding on the right. These are its other ways, which must
# not matter: padding side and tokens of a batch, where 1 means one pair at a time.
OTHERWISE: tuple[tuple[PaddingSide, int], ...] = (("right", 1), ("left", BATCH_TOKENS))
# How many pairs are scored in these ways, and one at a time by the prefix graph: the first of golden.json, which are of
# every length and kind.
SAMPLE = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """parity: the comparison with PyTorch of each graph, over all pairs. scale: of the golden logits that the graph is
    compared with. batch_effect: the most that a pair's neighbours and the side of its padding move a logit within a
    graph. graph_difference: the most that a logit differs between the padded and the prefix graph; 0 if there is one
    graph."""

    parity: dict[str, Parity]
    scale: dict[str, Scale]
    batch_effect: float
    graph_difference: float

    def recorded(self, variant: Variant, *, accepted_loss: bool) -> Variant:
        """Return the variant with these figures."""
        return replace(
            variant,
            parity=self.parity,
            batch_effect=self.batch_effect,
            graph_difference=self.graph_difference,
            accepted_loss=accepted_loss,
        )


def verify_variant(
    artifact: Artifact,
    variant: Variant,
    golden: Golden,
    *,
    threads: int | None = None,
    done: Done = lambda n: None,
) -> Verification:
    """Score the golden pairs with each graph of the variant; calls `done(n)` after each n of `steps`.

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
        found = scale_of(columns, groups)
        for graph, (logits, *others) in graphs.items():
            name = f"{layers} layers" if layers else graph
            scale[name] = found
            parity[name] = compare(
                columns,
                logits,
                groups,
                lambda x: activate(x, scoring.activation, scoring.logit_scale),
                tie=found.tie,
                relevance=[pair.relevance for pair in pairs],
            )
            effect = _largest(effect, *(np.abs(other - logits[: len(other)]).max() for other in others))
        if len(graphs) == 2:
            difference = _largest(difference, np.abs(graphs["padded"][0] - graphs["prefix"][0]).max())
    return Verification(parity=parity, scale=scale, batch_effect=effect, graph_difference=difference)


def steps(variant: Variant, golden: Golden) -> int:
    """Return how many pairs `verify_variant` scores, each as often as it does."""
    pairs = len(golden.scored)
    sample = min(SAMPLE, pairs)
    padded = (pairs + len(OTHERWISE) * sample) * (1 + len(variant.exits))
    return padded + (pairs + sample if variant.prefix else 0)


def check_gates(name: str, verification: Verification) -> None:
    """Raise ParityError, naming variant, graph and pair count, if a variant does not compute the model's scores."""
    tolerance = TOLERANCES[name]
    for graph, parity in verification.parity.items():
        if problem := tolerance.wrong(parity, verification.scale[graph]):
            raise ParityError(f"{name} ({graph}, {parity.pairs} pairs) does not score like PyTorch: {problem}")
    # Of several exits, the widest scale: the effect is the largest of all.
    scale = max(verification.scale.values(), key=lambda scale: scale.deviation)
    difference = max(parity.max_logit_difference for parity in verification.parity.values())
    if problem := tolerance.batch_problem(verification.batch_effect, scale, difference):
        raise ParityError(f"{name} depends on its batches: {problem}")


def excess_loss(name: str, verification: Verification) -> str | None:
    """Return what a variant loses, as a sentence without its full stop, if that is more than its tolerance; or None."""
    graph, parity = max(verification.parity.items(), key=lambda item: item[1].noise.mean)
    if problem := TOLERANCES[name].loss(parity, verification.scale[graph]):
        return f"{name} ({graph}, {parity.pairs} pairs) loses too much: {problem}"
    return None


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


def scale_of(expected: Logits, groups: Sequence[Sequence[int]]) -> Scale:
    """Return the scale of golden logits, [pairs, columns]. groups: the indices of each query's pairs."""
    rows = [expected[list(group)] for group in groups]
    squares = [np.square(row - row.mean(axis=0, dtype=np.float64)) for row in rows]
    deviation = float(np.sqrt(np.concatenate([s for s in squares if len(s) > 1] or [np.zeros((1, 1))]).mean()))
    return Scale(deviation=deviation, largest=float(np.abs(expected).max()))


def _score_pairs(
    artifact: Artifact,
    variant: Variant,
    device: Device,
    encoded: list[EncodedPair],
    done: Done,
    layers: int | None,
) -> dict[str, list[Logits]]:
    """Return, for each graph, the logits [pairs, columns] of one exit, and then those of the first pairs, scored in
    other ways."""
    sample = encoded[:SAMPLE]
    found: dict[str, list[Logits]] = {"padded": []}
    opened = partial(PairScorer, artifact, variant, layers=layers, device=device)
    sides: tuple[PaddingSide, ...] = ("right", "left")
    for side in sides:
        # Closed, because two of them would take twice the memory.
        with closing(opened(graph="padded", padding=side)) as scorer:
            if side == "right":
                found["padded"].append(scorer.score(encoded, pack_tokens=BATCH_TOKENS, done=done))
            for tokens in (tokens for other, tokens in OTHERWISE if other == side):
                found["padded"].append(scorer.score(sample, pack_tokens=tokens, done=done))
    if variant.prefix:
        with closing(opened(graph="prefix")) as scorer:
            found["prefix"] = [scorer.score(encoded, done=done), scorer.score(sample, pack_tokens=1, done=done)]
    return found


def _score_texts(
    artifact: Artifact,
    variant: Variant,
    device: Device,
    queries: list[EncodedText],
    documents: list[EncodedText],
    done: Done,
    layers: int | None,
) -> dict[str, list[Logits]]:
    """Return the similarities [pairs, 1] of queries and documents, and then those of the first in other ways."""

    def score(padding: PaddingSide, tokens: int, count: int) -> Logits:
        scorer = TextScorer(artifact, variant, device=device, padding=padding)
        # In separate batches, as `rank` embeds them: a query's expansion tokens may depend on the length of its row.
        query_vectors = scorer.embed(queries[:count], is_query=True, batch_tokens=tokens)
        document_vectors = scorer.embed(documents[:count], is_query=False, batch_tokens=tokens)
        pairs = zip(query_vectors, document_vectors, strict=True)
        similarities = [scorer.similarities(query, [document])[0] for query, document in pairs]
        done(len(similarities))
        return np.array(similarities, np.float32)[:, None]

    return {
        "padded": [
            score("right", BATCH_TOKENS, len(documents)),
            *(score(side, tokens, SAMPLE) for side, tokens in OTHERWISE),
        ]
    }


def _largest(*values: float) -> float:
    """Return the largest value, or NaN if one is."""
    return float(np.max(values))


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
