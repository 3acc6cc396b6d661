"""Scores with torch for training: the common parts of prompts are computed once and their keys reused."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import DynamicCache, Qwen3ForCausalLM

from benchmarks.demo.prompt import INSTRUCTION, SUFFIX, SYSTEM


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """`logits`: logit(yes) - logit(no), [documents]. `middle`: hidden states after layer 1, [documents, tokens, n]."""

    logits: Tensor
    middle: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptIds:
    """Token ids of the fixed parts of the prompt, of its markers, and of the two answers."""

    head: list[int]
    tail: list[int]
    query_marker: int
    document_marker: int
    yes: int
    no: int

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "PromptIds":
        def encode(text: str) -> list[int]:
            ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
            return ids

        (yes,), (no,), (query,), (document,) = map(encode, ("yes", "no", "<Query>:", "<Document>:"))
        return cls(
            head=encode(SYSTEM) + encode(INSTRUCTION),
            tail=encode(SUFFIX),
            query_marker=query,
            document_marker=document,
            yes=yes,
            no=no,
        )


def score(
    model: Qwen3ForCausalLM, prompt: PromptIds, queries: Sequence[list[int]], documents: Sequence[list[int]]
) -> Scored:
    """Score documents[i] against queries[i // (len(documents) // len(queries))]."""
    repeats = len(documents) // len(queries)
    cache = DynamicCache(config=model.config)
    head = torch.tensor([prompt.head])
    model.model(head, past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(len(queries))

    query_ids, query_mask = _pad(queries)
    seen = torch.cat([torch.ones(len(queries), head.shape[1], dtype=torch.long), query_mask], 1)
    positions = head.shape[1] + torch.arange(query_ids.shape[1])[None].expand_as(query_ids)
    model.model(query_ids, past_key_values=cache, attention_mask=seen, position_ids=positions, use_cache=True)
    cache.batch_repeat_interleave(repeats)

    document_ids, document_mask = _pad([ids + prompt.tail for ids in documents])
    seen = seen.repeat_interleave(repeats, 0)
    output = model.model(
        document_ids,
        past_key_values=cache,
        attention_mask=torch.cat([seen, document_mask], 1),
        position_ids=seen.sum(1)[:, None] + torch.arange(document_ids.shape[1])[None],
        use_cache=True,
        output_hidden_states=True,
    )
    table = model.model.embed_tokens.weight
    last = output.last_hidden_state[torch.arange(len(documents)), document_mask.sum(1) - 1]
    return Scored(logits=last @ (table[prompt.yes] - table[prompt.no]), middle=output.hidden_states[2])


def _pad(rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask
