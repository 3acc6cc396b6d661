"""Compares an artifact's graphs with the PyTorch scores in its golden.json."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

import numpy as np

from onnxrank.activation import activate
from onnxrank.artifact import TOKENIZER, Artifact
from onnxrank.errors import BackendError, ParityError
from onnxrank.golden import Golden, GoldenPair, by_query
from onnxrank.manifest import Manifest, Parity, Scoring, Variant
from onnxrank.maxsim import maxsim
from onnxrank.packed import packed_scorer
from onnxrank.parity import Logits, compare
from onnxrank.portable import BATCH_TOKENS, embed
from onnxrank.portable import score as score_portable
from onnxrank.prompt import EncodedPair, EncodedText, PromptEncoder, TextEncoder, TokenIds
from onnxrank.session import CPU, Session
from onnxrank.tolerances import TOLERANCES, Scale

Done = Callable[[int], None]

# The left-padded run has other batches, so that the two show what a document's neighbours do to its score.
WAYS = (("right padding", False, BATCH_TOKENS), ("left padding", True, 512))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Parity with PyTorch per way of scoring, the scale of the golden logits that each way is compared with, and the
    largest logit difference between the ways of one exit."""

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
    """Score the golden pairs in each way the variant can be scored; `done(n)` after each n pairs.

    Raises ParityError if the prompt's token ids differ from the reference's.
    """
    scoring = artifact.manifest.scoring
    pairs = golden.scored
    expected = np.array([pair.logits for pair in pairs], np.float32)
    job = _Job(artifact, variant, golden, threads, done)
    groups = list(by_query(pairs).values())
    parity: dict[str, Parity] = {}
    scale: dict[str, Scale] = {}
    effect = 0.0
    for exit_, columns in _exits(scoring, expected).items():
        found = job.pairs(exit_) if scoring.prompt else job.texts()
        parity |= {
            way: compare(columns, logits, groups, lambda x: activate(x, scoring.activation, scoring.logit_scale))
            for way, logits in found.items()
        }
        deviation, largest = float(np.sqrt(columns.var(axis=0).mean())), float(np.abs(columns).max())
        scale |= dict.fromkeys(found, Scale(deviation=deviation, largest=largest))
        effect = max(effect, *(float(np.abs(a - b).max()) for a in found.values() for b in found.values()))
    return Verification(parity=parity, scale=scale, batch_effect=effect)


def ways_of(variant: Variant) -> int:
    """Return how many times `verify_variant` scores each pair."""
    return 2 * (1 + len(variant.exits)) + bool(variant.packed)


def check_gates(name: str, verification: Verification) -> None:
    """Raise ParityError, naming variant, way, pair count and difference, where a variant strays too far."""
    for way, parity in verification.parity.items():
        if problem := TOLERANCES[name].problem(parity, verification.scale[way]):
            raise ParityError(f"{name} ({way}, {parity.pairs} pairs) does not score like PyTorch: {problem}")


def repeat_oracle(manifest: Manifest, golden: Golden, checkpoint: str) -> Golden:
    """Score the golden pairs anew with PyTorch from `checkpoint`, an alias, hub id or folder.

    Raises BackendError if the exporter is not installed.
    """
    for entry in entry_points(group="onnxrank.oracles"):
        record: Callable[..., Golden] = entry.load()
        return record(checkpoint, family=manifest.family, pairs=golden.pairs, options=manifest.options)
    raise BackendError("PyTorch's scores need the exporter: `pip install onnxrank[export]`.")


def _exits(scoring: Scoring, expected: Logits) -> dict[int | None, Logits]:
    """The golden logits of each exit, [pairs, widths]; a model without exits has one, called None."""
    if scoring.matryoshka is None:
        return {None: expected}
    widths = len(scoring.matryoshka.dims)
    return {layers: expected[:, i * widths : (i + 1) * widths] for i, layers in enumerate(scoring.matryoshka.layers)}


class _Job:
    """Scores the golden pairs of one artifact and variant."""

    def __init__(self, artifact: Artifact, variant: Variant, golden: Golden, threads: int | None, done: Done) -> None:
        self.artifact = artifact
        self.scoring = artifact.manifest.scoring
        self.variant = variant
        self.golden = golden
        self.threads = threads
        self.done = done

    def pairs(self, layers: int | None) -> dict[str, Logits]:
        """Logits [pairs, columns] of one exit, by way."""
        encoded = self._encode_pairs()
        path = self.variant.exits.get(str(layers), self.variant.portable)
        prefix = f"{layers} layers, " if layers else ""
        session = self._session(path)
        found = {
            prefix + way: score_portable(
                session,
                [pair.token_ids for pair in encoded],
                second_starts=[pair.document_start for pair in encoded],
                pad_token_id=self.scoring.pad_token_id,
                readout=self.scoring.readout,
                pad_left=left,
                batch_tokens=budget,
                done=self.done,
            )
            for way, left, budget in WAYS
        }
        if scorer := packed_scorer(self.artifact.folder, self.variant, self.scoring.kv_cache, self.threads):
            found["packed"] = scorer.score_pairs(encoded, done=self.done)
        return found

    def texts(self) -> dict[str, Logits]:
        """Similarities [pairs, 1] of separately embedded queries and documents, by way."""
        queries, documents = self._encode_texts()
        session = self._session(self.variant.portable)
        late = self.scoring.late_interaction
        found = {}
        for way, left, budget in WAYS:
            # Apart, as scorers embed them: a query's expansion tokens may see how long its row is.
            query_vectors, document_vectors = (
                embed(
                    session,
                    [text.token_ids for text in texts],
                    attended=[text.attended for text in texts],
                    per_token=late is not None,
                    pad_token_id=self.scoring.pad_token_id,
                    pad_left=left,
                    batch_tokens=budget,
                )
                for texts in (queries, documents)
            )
            pairs = zip(query_vectors, document_vectors, documents, strict=True)
            if late:
                skipped = late.skip_token_ids
                similarities = [maxsim(q, [d[~np.isin(t.token_ids, skipped)]])[0] for q, d, t in pairs]
            else:
                similarities = [q @ d for q, d, _ in pairs]
            found[way] = np.array(similarities, np.float32)[:, None]
            self.done(len(documents))
        return found

    def _encode_pairs(self) -> list[EncodedPair]:
        """The scored pairs' prompts; raise ParityError if any pair's token ids are not the reference's."""
        assert self.scoring.prompt
        encoder = PromptEncoder(self.artifact.folder / TOKENIZER, self.scoring.prompt, self.scoring.max_length)
        encoded = []
        for pair in self.golden.pairs:
            (found,) = encoder.pairs(pair.query, [pair.document], None, special_tokens=False)
            _check_token_ids(pair, found.token_ids, pair.token_ids)
            if pair.logits is not None:
                encoded.append(found)
        return encoded

    def _encode_texts(self) -> tuple[list[EncodedText], list[EncodedText]]:
        """The scored pairs' queries and documents, likewise."""
        assert self.scoring.texts
        late = self.scoring.late_interaction
        encoder = TextEncoder(self.artifact.folder / TOKENIZER, self.scoring.texts, late.expansion if late else None)
        queries, documents = [], []
        for pair in self.golden.pairs:
            (query,) = encoder.texts([pair.query], is_query=True)
            (document,) = encoder.texts([pair.document], is_query=False)
            _check_token_ids(pair, query.token_ids, pair.query_token_ids)
            _check_token_ids(pair, document.token_ids, pair.token_ids)
            if pair.logits is not None:
                queries.append(query)
                documents.append(document)
        return queries, documents

    def _session(self, path: str) -> Session:
        return Session(self.artifact.folder / path, [CPU], self.threads)


def _check_token_ids(pair: GoldenPair, found: TokenIds, expected: TokenIds) -> None:
    if found != expected:
        raise ParityError(
            f"query {pair.query!r:.60} with document {pair.document!r:.60} gives other token ids than the "
            "reference; this tokenizer merges text across the places where the prompt is cut."
        )
