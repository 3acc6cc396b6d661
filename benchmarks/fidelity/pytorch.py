"""Scores with PyTorch: the reference in float32, and in bfloat16 what everyone runs on GPUs."""

import copy
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from benchmarks.fidelity.scores import Engine, Score
from benchmarks.fidelity.subject import Subject
from benchmarks.peers.worker import batches
from onnxrank.text.prompt import shared_tokens

REFERENCE = "PyTorch fp32"
ROUNDED, HALF = "PyTorch fp32, weights rounded to bf16", "PyTorch bf16"
NAMES = (REFERENCE, ROUNDED, HALF)
# Rows x longest row of a batch.
BATCH_TOKENS = 1024
# The largest difference, in logits, that batches and shared prefixes may make in float32.
TOLERANCE = 1e-4


def engines(subject: Subject, wanted: Container[str]) -> Iterator[Engine]:
    """Yield the reference, and the others that are wanted."""
    megabytes = subject.weights.stat().st_size / 1e6
    for name in NAMES:
        if name == REFERENCE or name in wanted:
            dtype = "bfloat16" if name == HALF else "float32"
            yield Engine(
                name=name,
                settings=f"PyTorch {torch.__version__}, transformers {transformers.__version__}, sdpa, {dtype}"
                + (", weights rounded to bfloat16" if name == ROUNDED else ""),
                megabytes=megabytes if name == REFERENCE else megabytes / 2,
                open=partial(_open, subject, name),
            )


@contextmanager
def _open(subject: Subject, name: str, queries: range) -> Iterator[Score]:
    def load(auto_class: str) -> Any:
        dtype = torch.bfloat16 if name == HALF else torch.float32
        kind = getattr(transformers, auto_class)
        model = kind.from_pretrained(subject.folder, dtype=dtype, attn_implementation="sdpa").eval()
        for weight in model.parameters() if name == ROUNDED else ():
            weight.data = weight.data.bfloat16().float()
        return model

    with torch.inference_mode():
        score = SCORERS[subject.family](subject, load)
        if name == REFERENCE:
            _check(subject, queries[0], score(queries[0]))
        yield score


def _check(subject: Subject, query: int, scores: Sequence[float]) -> None:
    """Compare with the family's reference code. Raises RuntimeError if the scores differ."""
    for (query_ids, ids), found in zip(subject.token_ids(query), scores, strict=True):
        expected = float(subject.reference.score(query_ids, ids).reshape(-1)[0])
        if not abs(found - expected) <= TOLERANCE * max(1.0, abs(expected)):
            raise RuntimeError(f"query {query} of {subject.texts}: the score is {found}, and alone it is {expected}")


def _decoder(subject: Subject, load: Callable[[str], Any]) -> Score:
    """Compute the tokens that a query's prompts share once."""
    model = load("AutoModelForCausalLM")
    answers = model.lm_head.weight[list(subject.answers)]

    def score(query: int) -> list[float]:
        rows = [tuple(ids) for _, ids in subject.token_ids(query)]
        shared = shared_tokens(rows)
        cache = model.model(torch.tensor([rows[0][:shared]]), use_cache=True).past_key_values
        scores = [0.0] * len(rows)
        for group in batches([len(row) - shared for row in rows], BATCH_TOKENS):
            ids, mask = _padded([rows[i][shared:] for i in group])
            past = copy.deepcopy(cache)
            past.batch_repeat_interleave(len(group))
            seen = torch.cat([mask.new_ones(len(group), shared), mask], 1)
            hidden = model.model(ids, attention_mask=seen, past_key_values=past).last_hidden_state
            logits = hidden[torch.arange(len(group)), mask.sum(1) - 1] @ answers.T
            for i, value in zip(group, (logits[:, 0] - logits[:, 1]).tolist(), strict=True):
                scores[i] = value
        return scores

    return score


def _classifier(subject: Subject, load: Callable[[str], Any]) -> Score:
    model = load("AutoModelForSequenceClassification")
    tokenizer = transformers.AutoTokenizer.from_pretrained(subject.folder)

    def score(query: int) -> list[float]:
        found = subject.candidates[query]
        pairs = [[found.query, document] for document in found.documents]
        limits = {"truncation": True, "max_length": subject.scoring.max_length}
        scores = [0.0] * len(pairs)
        lengths = [len(ids) for ids in tokenizer(pairs, **limits)["input_ids"]]
        for group in batches(lengths, BATCH_TOKENS):
            feeds = tokenizer([pairs[i] for i in group], **limits, padding=True, return_tensors="pt")
            for i, value in zip(group, model(**feeds).logits[:, 0].tolist(), strict=True):
                scores[i] = value
        return scores

    return score


def _late_interaction(subject: Subject, load: Callable[[str], Any]) -> Score:
    """The checkpoint's projection is the identity."""
    model = load("AutoModel")
    late = subject.scoring.late_interaction
    assert late
    skipped = torch.tensor(late.skip_token_ids)

    def vectors(rows: Sequence[Sequence[int]]) -> Tensor:
        ids, mask = _padded(rows)
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return torch.nn.functional.normalize(hidden, dim=-1).float()

    def score(query: int) -> list[float]:
        encoded = subject.token_ids(query)
        ((query_ids, _), *_), rows = encoded, [ids for _, ids in encoded]
        (query_vectors,) = vectors([query_ids])
        scores = [0.0] * len(rows)
        for group in batches(list(map(len, rows)), BATCH_TOKENS):
            for i, found in zip(group, vectors([rows[i] for i in group]), strict=True):
                ids = torch.tensor(rows[i])
                kept = found[: len(ids)][~torch.isin(ids, skipped)]
                scores[i] = float((query_vectors @ kept.T).amax(1).sum())
        return scores

    return score


SCORERS: Mapping[str, Callable[[Subject, Callable[[str], Any]], Score]] = {
    "zerank": _decoder,
    "cross-encoder": _classifier,
    "colbert": _late_interaction,
}


def _padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return token ids and mask, [rows, longest], padded on the right."""
    ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    mask = pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], batch_first=True)
    return ids, mask
