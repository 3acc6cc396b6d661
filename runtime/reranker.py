"""`Reranker`: scores (query, document) pairs with an exported artifact; method names as in CrossEncoder."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnxrank.activation import activate
from onnxrank.artifact import TOKENIZER, open_artifact
from onnxrank.errors import InputError
from onnxrank.manifest import Manifest
from onnxrank.packed import PackedScorer
from onnxrank.portable import score as score_portable
from onnxrank.progress import progress
from onnxrank.prompt import EncodedDocument, EncodedQuery, PromptEncoder
from onnxrank.session import CPU, Session, check_providers

Activation = Literal["sigmoid", "identity"]

# The packed graph's dense bias grows with the square of a document's tokens, and what the shared prefix saves does
# not: longer documents take the portable graph.
LONGEST_PACKED = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores in input order, one entry a pair: `logits` and `scores` float32 [n], `truncated` bool [n],
    `tokens` int64 [n] (the prompt's length after truncation)."""

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    truncated: NDArray[np.bool_]
    tokens: NDArray[np.int64]


class Reranker:
    """Ranks documents by relevance to a query. Safe to share between threads, to pickle and to fork."""

    def __init__(
        self,
        source: str | Path,
        *,
        variant: str | None = None,
        providers: Sequence[str] = (CPU,),
        threads: int | None = None,
        revision: str | None = None,
        max_length: int | None = None,
    ) -> None:
        """Open an artifact; ONNX Runtime loads the weights at the first score.

        source: the folder that `export-model` wrote, or a hub id with such a folder's files.
        variant: fp32, fp16, int8, q4 or q4f16; the artifact's first one by default.
        providers: ONNX Runtime execution providers, most wanted first.
        threads: threads inside one operator; ONNX Runtime's choice (all physical cores) by default.
        max_length: tokens of prompt and pair together; at most, and by default, the artifact's.

        Raises ArtifactError, HubError, InputError or BackendError.
        """
        check_providers(providers)
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}; give at least 1, or leave it out.")
        artifact = open_artifact(source, revision=revision)
        self.manifest: Manifest = artifact.manifest
        self.variant, files = artifact.variant(variant)
        artifact.fetch(TOKENIZER, *files.files)
        self._encoder = PromptEncoder(
            artifact.folder / TOKENIZER, self.manifest.prompt, _limit(max_length, self.manifest.max_length)
        )
        self._portable = Session(artifact.folder / files.portable, providers, threads)
        self._packed: PackedScorer | None = None
        if files.packed and self.manifest.kv_cache and tuple(providers) == (CPU,):
            session = Session(artifact.folder / files.packed, providers, threads)
            self._packed = PackedScorer(session, self.manifest.kv_cache)

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_k: int | None = None,
        return_documents: bool = False,
        instruction: str | None = None,
        activation: Activation | None = None,
        special_tokens: bool = False,
        show_progress_bar: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Return documents by falling score, as dicts with `corpus_id` (index into `documents`), `score`,
        `truncated` (whether its end was cut to fit) and, with `return_documents`, `text`.

        Equal scores keep their input order. `top_k` larger than the list returns the whole list. The other
        options are those of `score`.
        """
        if top_k is not None and top_k < 1:
            raise InputError(f"top_k is {top_k}; give at least 1, or leave it out to get all documents.")
        _check_texts([query], "query")
        _check_texts(documents, "documents")
        result = self.score(
            [(query, document) for document in documents],
            instruction=instruction,
            activation=activation,
            special_tokens=special_tokens,
            show_progress_bar=show_progress_bar,
        )
        # By logits: large ones differ where their probabilities are all rounded to 1.
        order = np.argsort(-result.logits, kind="stable")[:top_k]
        hits: list[dict[str, Any]] = [
            {"corpus_id": int(i), "score": float(result.scores[i]), "truncated": bool(result.truncated[i])}
            for i in order
        ]
        if return_documents:
            for hit in hits:
                hit["text"] = documents[hit["corpus_id"]]
        return hits

    def predict(
        self,
        pairs: Sequence[tuple[str, str]] | tuple[str, str],
        *,
        instruction: str | None = None,
        activation: Activation | None = None,
        special_tokens: bool = False,
        show_progress_bar: bool | None = None,
    ) -> NDArray[np.float32]:
        """Return the scores of (query, document) pairs, float32 `[len(pairs)]`, in input order.

        A single pair instead of a list gives a single float32. The options are those of `score`.
        """
        single = len(pairs) == 2 and all(isinstance(text, str) for text in pairs)
        scores = self.score(
            [pairs] if single else pairs,  # type: ignore[list-item, arg-type]  # told apart one line above
            instruction=instruction,
            activation=activation,
            special_tokens=special_tokens,
            show_progress_bar=show_progress_bar,
        ).scores
        return scores[0] if single else scores

    def score(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        instruction: str | None = None,
        activation: Activation | None = None,
        special_tokens: bool = False,
        show_progress_bar: bool | None = None,
    ) -> Scores:
        """Return logits, scores, truncation and token counts of (query, document) pairs, in input order.

        instruction: what counts as relevant, in a sentence; the model's default if left out.
        activation: "sigmoid" (a probability) or "identity" (the raw logit); the artifact's choice if left out.
        special_tokens: parse control tokens such as <|im_end|> inside the texts, as the reference code does;
            by default they are ordinary text, because untrusted text must not rewrite the prompt.
        show_progress_bar: None shows one in a terminal when it takes more than two seconds.

        Raises InputError for texts that are not strings.
        """
        for i, pair in enumerate(pairs):
            if isinstance(pair, str) or len(pair) != 2:
                raise InputError(f"pairs[{i}] is {pair!r:.80}; give a (query, document) tuple.")
            _check_texts(pair, f"pairs[{i}]")
        if activation not in (None, "sigmoid", "identity"):
            raise InputError(f"activation is {activation!r}; give 'sigmoid' or 'identity'.")
        if instruction is not None:
            _check_texts([instruction], "instruction")
        by_query: dict[str, list[int]] = defaultdict(list)
        for i, (query, _) in enumerate(pairs):
            by_query[query].append(i)

        logits = np.empty(len(pairs), np.float32)
        truncated = np.zeros(len(pairs), np.bool_)
        tokens = np.empty(len(pairs), np.int64)
        unpacked: list[tuple[int, tuple[int, ...]]] = []
        with progress("scoring", len(pairs), show_progress_bar) as done:
            for query, rows in by_query.items():
                head = self._encoder.query(query, instruction, special_tokens=special_tokens)
                bodies = self._encoder.documents([pairs[i][1] for i in rows], head, special_tokens=special_tokens)
                truncated[rows] = [body.truncated for body in bodies]
                tokens[rows] = [len(head.token_ids) + len(body.token_ids) for body in bodies]
                packable, long = self._split(head, bodies)
                unpacked += [(rows[j], head.token_ids + bodies[j].token_ids) for j in long]
                if packable:
                    logits[[rows[j] for j in packable]] = self._score_packed(head, [bodies[j] for j in packable], done)
            if unpacked:
                logits[[i for i, _ in unpacked]] = score_portable(
                    self._portable,
                    [ids for _, ids in unpacked],
                    pad_token_id=self.manifest.pad_token_id,
                    readout=self.manifest.readout,
                    done=done,
                )
        return Scores(
            logits=logits,
            scores=activate(logits, activation or self.manifest.activation),
            truncated=truncated,
            tokens=tokens,
        )

    def _split(self, head: EncodedQuery, bodies: Sequence[EncodedDocument]) -> tuple[list[int], list[int]]:
        """Return the indices that the packed graph scores faster, and the others."""
        packable: list[int] = []
        others: list[int] = []
        for j, body in enumerate(bodies):
            longest = max(len(head.query), len(body.token_ids))
            (packable if self._packed and longest <= LONGEST_PACKED else others).append(j)
        return packable, others

    def _score_packed(
        self, head: EncodedQuery, bodies: Sequence[EncodedDocument], done: Callable[[int], None]
    ) -> NDArray[np.float32]:
        assert self._packed is not None
        return self._packed.score(head.instruction, head.query, [body.token_ids for body in bodies], done=done)


def _limit(wanted: int | None, largest: int) -> int:
    if wanted is None:
        return largest
    if wanted > largest:
        raise InputError(
            f"max_length {wanted} is more than the {largest} this artifact was exported for; "
            f"give at most {largest}, or export it with `--max-length {wanted}`."
        )
    return wanted


def _check_texts(texts: Sequence[str], place: str) -> None:
    if isinstance(texts, str):
        raise InputError(f"{place} is a single string; give a list of strings.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{place}[{i}] is {type(text).__name__} {text!r:.60}; give a string.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{place}[{i}] holds {text[error.start]!r}, which is no character; "
                "decode the text with errors='replace'."
            ) from error
