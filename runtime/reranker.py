"""`Reranker`: scores (query, document) pairs with an exported artifact; its method names are CrossEncoder's."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.hub import HubAccess
from onnxrank.artifact.manifest import Activation, Manifest, Matryoshka
from onnxrank.artifact.opening import TOKENIZER, Artifact, open_artifact, require_opener
from onnxrank.cross_encoder import activation_of, check_arguments
from onnxrank.engine.activation import activate
from onnxrank.engine.device import Device, Memory, Provider
from onnxrank.engine.pair_scorer import PairScorer
from onnxrank.errors import InputError
from onnxrank.progress import progress
from onnxrank.ranking import check_top_k, ranked
from onnxrank.text.documents import Document, check_text, list_of, list_of_texts, texts_of
from onnxrank.text.prompt import EncodedPair, PromptEncoder

# A query and a document; a list of two, as arrays and JSON have it, is one too.
Pair = tuple[str, Document] | Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores in input order, one entry per pair: `logits` and `scores` float32 [n], `truncated` bool [n],
    `tokens` int64 [n] (the prompt's length after truncation)."""

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    truncated: NDArray[np.bool_]
    tokens: NDArray[np.int64]


class Reranker:
    """Ranks documents by relevance to a query. Safe to share between threads, to pickle and to fork."""

    def __init__(
        self,
        source: str | Path | Artifact | None = None,
        *,
        variant: str | None = None,
        layers: int | None = None,
        dim: int | None = None,
        device: str | None = None,
        providers: Sequence[Provider] | None = None,
        threads: int | None = None,
        memory: Memory = "normal",
        revision: str | None = None,
        max_length: int | None = None,
        token: str | bool | None = None,
        cache_folder: str | Path | None = None,
        local_files_only: bool = False,
        activation_fn: object = None,
        model_name_or_path: str | None = None,
        **cross_encoder: Any,
    ) -> None:
        """Open an artifact; ONNX Runtime loads the weights at the first score.

        source: the folder that `export-model` wrote, a hub id with such a folder's files, or an opened artifact;
            `model_name_or_path` is another name for it.
        variant: fp32, fp16, int8, q4 or q4f16; by default the artifact's best for the device: on CPUs int8, else q4,
            else fp32; on GPUs fp16, else fp32.
        layers, dim: exit and width of a matryoshka model; the deepest and widest by default.
        device: "cpu" (the default), "cuda" or "cuda:1".
        providers: instead of device, ONNX Runtime's execution providers in order of preference, each a name or (name,
            options).
        threads: CPU cores to use; all physical ones by default.
        memory: "normal" keeps up to two copies of the weights in memory. "low" keeps one, and scores short lists up to
            1.6 times slower on cores that share no cache. "shared" maps one copy for all processes (CPU only).
        max_length: tokens of the whole prompt; by default, and at most, the artifact's max_length.
        revision, token, cache_folder, local_files_only: of a hub id; see huggingface_hub.
        activation_fn: torch.nn.Sigmoid() or torch.nn.Identity(), for all calls that name no activation.
        cross_encoder: other arguments of CrossEncoder; see `onnxrank.cross_encoder` for what each means here.

        Raises ArtifactError, HubError, InputError or BackendError.
        """
        check_arguments(Reranker.__init__, cross_encoder)
        source = source if source is not None else model_name_or_path
        if source is None:
            raise InputError("source is missing; give the folder that `export-model` wrote, or a hub id.")
        runs_on = Device.of(device, providers, threads, memory)
        access = HubAccess(token=token, cache_folder=cache_folder, local_files_only=local_files_only)
        artifact = open_artifact(source, revision=revision, access=access)
        require_opener(artifact, "Reranker")
        self.manifest: Manifest = artifact.manifest
        self.variant, variant_ = artifact.variant(variant, on_cpu=runs_on.on_cpu)
        scoring = self.manifest.scoring
        assert scoring.prompt
        self._prompt = scoring.prompt
        self.max_length = _limit(max_length, scoring.max_length)
        artifact.fetch(TOKENIZER)
        self._encoder = PromptEncoder(artifact.tokenizer, scoring.prompt, self.max_length)
        self._column = _column(scoring.matryoshka, layers, dim)
        self._scorer = PairScorer(artifact, variant_, layers=layers, device=runs_on)
        self._activation = scoring.activation if activation_fn is None else activation_of(activation_fn)

    @property
    def document_template(self) -> str | None:
        """How the fields of a structured document become its text; None if this model reads plain texts only."""
        return self._prompt.document_template

    def close(self) -> None:
        """Free the weights and threads; a later call loads them again. `with` does this at the end of its block."""
        self._scorer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Reranker({self.manifest.name!r}, variant={self.variant!r}, max_length={self.max_length})"

    def rank(
        self,
        query: str,
        documents: Iterable[Document],
        top_k: int | None = None,
        return_documents: bool = False,
        *,
        instruction: str | None = None,
        activation: Activation | None = None,
        special_tokens: bool = False,
        show_progress_bar: bool | None = None,
        **cross_encoder: Any,
    ) -> list[dict[str, Any]]:
        """Return documents by descending score, as dicts with `corpus_id` (index into `documents`), `score`,
        `truncated` (whether its end was cut to fit) and, with `return_documents`, `text`.

        A document is a string or, if the artifact has a document template, a mapping of fields or a (name, description)
        tuple.

        Equal scores keep their input order. `top_k` larger than the list returns the whole list. The other
        options are those of `predict`.
        """
        check_top_k(top_k)
        instruction, activation = _call(self.rank, instruction, activation, cross_encoder)
        check_text(query, "query")
        texts = self._texts(documents, "documents")
        result = self.score(
            [(query, text) for text in texts],
            instruction=instruction,
            activation=activation,
            special_tokens=special_tokens,
            show_progress_bar=show_progress_bar,
        )
        return ranked(result.logits, result.scores, result.truncated, texts if return_documents else None, top_k)

    def predict(
        self,
        pairs: Iterable[Pair] | Pair,
        *,
        instruction: str | None = None,
        activation: Activation | None = None,
        special_tokens: bool = False,
        show_progress_bar: bool | None = None,
        **cross_encoder: Any,
    ) -> NDArray[np.float32]:
        """Return the scores of (query, document) pairs, float32 `[len(pairs)]`, in input order.

        A single pair instead of a list gives a single float32. The options are those of `score`, and CrossEncoder's:
        `prompt` is another name for `instruction`, `activation_fn` takes torch.nn.Sigmoid() and torch.nn.Identity(),
        `batch_size` and `convert_to_numpy` have nothing to do, and others raise InputError with what to do instead; see
        `onnxrank.cross_encoder`.
        """
        instruction, activation = _call(self.predict, instruction, activation, cross_encoder)
        listed: list[Any] = list_of(pairs, "pairs")
        single = len(listed) == 2 and isinstance(listed[0], str)
        scores = self.score(
            [tuple(listed)] if single else listed,
            instruction=instruction,
            activation=activation,
            special_tokens=special_tokens,
            show_progress_bar=show_progress_bar,
        ).scores
        return scores[0] if single else scores

    def score(
        self,
        pairs: Iterable[Pair],
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
        show_progress_bar: None shows one in a terminal if scoring takes more than two seconds.

        Raises InputError for texts that are not strings.
        """
        queries, texts = self._check(list_of(pairs, "pairs"))
        if activation not in (None, "sigmoid", "identity"):
            raise InputError(f"activation is {activation!r}; give 'sigmoid' or 'identity'.")
        if instruction is not None:
            check_text(instruction, "instruction")
        by_query: dict[str, list[int]] = defaultdict(list)
        for i, query in enumerate(queries):
            by_query[query].append(i)

        logits = np.empty(len(queries), np.float32)
        truncated = np.zeros(len(queries), np.bool_)
        tokens = np.empty(len(queries), np.int64)
        encoded: dict[int, EncodedPair] = {}
        for query, rows in by_query.items():
            found = self._encoder.pairs(query, [texts[i] for i in rows], instruction, special_tokens=special_tokens)
            for i, pair in zip(rows, found, strict=True):
                truncated[i], tokens[i] = pair.truncated, len(pair.token_ids)
                encoded[i] = pair
                if pair.lost:
                    raise InputError(
                        f"the query {query!r:.60} leaves no room for the document: the prompt has {self.max_length} "
                        "tokens; shorten the query, or open the model with a larger max_length."
                    )
        with progress("scoring", len(queries), show_progress_bar) as done:
            logits[list(encoded)] = self._scorer.score(list(encoded.values()), done=done)[:, self._column]
        scoring = self.manifest.scoring
        return Scores(
            logits=logits,
            scores=activate(logits, activation or self._activation, scoring.logit_scale),
            truncated=truncated,
            tokens=tokens,
        )

    def _check(self, pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
        for i, pair in enumerate(pairs):
            if isinstance(pair, str | Mapping | Set) or not hasattr(pair, "__len__") or len(pair) != 2:
                raise InputError(f"pairs[{i}] is {pair!r:.80}; give a (query, document) tuple.")
        queries = list_of_texts([query for query, _ in pairs], "queries")
        return queries, self._texts([document for _, document in pairs], "documents")

    def _texts(self, documents: Iterable[Document], place: str) -> list[str]:
        return texts_of(documents, self._prompt.document_template, place)


def _call(
    method: Callable[..., Any], instruction: str | None, activation: Activation | None, given: dict[str, Any]
) -> tuple[str | None, Activation | None]:
    """Return instruction and activation, of which CrossEncoder has other names."""
    instruction = given.pop("prompt", None) if instruction is None else instruction
    function = given.pop("activation_fn", None)
    check_arguments(method, given)
    return instruction, activation_of(function) if activation is None and function is not None else activation


def _limit(wanted: int | None, largest: int) -> int:
    """Return the max_length to use. Raises InputError for no number of tokens, or more than the artifact's."""
    if wanted is None:
        return largest
    if not isinstance(wanted, int) or wanted < 1:
        raise InputError(f"max_length is {wanted!r:.60}; give a number of tokens.")
    if wanted > largest:
        raise InputError(
            f"max_length {wanted} is more than the {largest} this artifact was exported for; "
            f"give at most {largest}, or export it with `--max-length {wanted}`."
        )
    return wanted


def _column(matryoshka: Matryoshka | None, layers: int | None, dim: int | None) -> int:
    """Return the logits' column for a width. Raises InputError if the model lacks the exit or the width."""
    if matryoshka is None:
        for name, value in (("layers", layers), ("dim", dim)):
            if value is not None:
                raise InputError(f"{name} is {value}, and this model has one exit and one width; leave it out.")
        return 0
    _choose("layers", layers, matryoshka.layers)
    _choose("dim", dim, matryoshka.dims)
    return 0 if dim is None else matryoshka.dims.index(dim)


def _choose(name: str, value: int | None, choices: Sequence[int]) -> None:
    if value is not None and value not in choices:
        raise InputError(f"{name} is {value}, and this artifact has {', '.join(map(str, choices))}; give one of these.")
