"""The demo retriever: a two-layer Qwen3 whose last token gathers the text, its initial weights, and its folder."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, processors
from torch import Tensor
from torch.nn.functional import normalize
from transformers import Qwen3Config, Qwen3Model

from benchmarks.demo.initialise import RESERVED, embeddings
from benchmarks.demo.tokenizer import END, PAD, save_tokenizer

WIDTH = 192
# What comes before a text: tokens of the demo's vocabulary of their own.
PROMPTS = {"query": "<Query>: ", "document": "<Document>: "}


def with_last_token(tokenizer: Tokenizer) -> Tokenizer:
    """Return the tokenizer, changed to end every text with the end-of-text token, as Qwen3-Embedding's does."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {PAD}", pair=f"$A {PAD} $B:1 {PAD}:1", special_tokens=[(PAD, tokenizer.token_to_id(PAD))]
    )
    return tokenizer


def create(tokenizer: Tokenizer, queries: Sequence[Sequence[int]], documents: Sequence[Sequence[int]]) -> Qwen3Model:
    """Return the model before training: the last token holds the mean of the text's embeddings.

    The embeddings come from query-document co-occurrence, as the demo reranker's do; all heads of the first layer
    attend to every token alike and copy it. queries, documents: token ids.
    """
    model = Qwen3Model(_config(tokenizer))
    attention = model.layers[0].self_attn
    with torch.no_grad():
        table = embeddings(queries, documents, *model.embed_tokens.weight.shape)
        table[:, :RESERVED] = 0
        table[tokenizer.token_to_id(PAD)] *= 0.1
        model.embed_tokens.weight.copy_(table)
        attention.q_proj.weight.mul_(0.05)
        attention.v_proj.weight.copy_(torch.eye(WIDTH))
        attention.o_proj.weight.copy_(torch.eye(WIDTH))
    return model


def embed(model: Qwen3Model, rows: Sequence[Sequence[int]]) -> Tensor:
    """Return the L2-normalised hidden state of each row's last token, float32 [rows, width]."""
    # Padded on the right without a mask: a causal model's last token sees nothing behind it.
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    hidden = model(ids, use_cache=False).last_hidden_state
    last = torch.tensor([len(tokens) - 1 for tokens in rows])
    return normalize(hidden[torch.arange(len(rows)), last], dim=-1)


def save(model: Qwen3Model, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a checkpoint folder with the files of Qwen3-Embedding."""
    model.to(torch.bfloat16).save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    parts = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (kind, path) in enumerate(parts.items())
    ]
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_lasttoken": True, "include_prompt": True}
    (folder / "1_Pooling").mkdir(exist_ok=True)
    for name, content in {
        "modules.json": modules,
        "1_Pooling/config.json": pooling,
        "config_sentence_transformers.json": {"prompts": PROMPTS, "similarity_fn_name": "cosine"},
    }.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _config(tokenizer: Tokenizer) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=3,
        head_dim=64,
        intermediate_size=WIDTH,
        tie_word_embeddings=True,
        max_position_embeddings=4096,
        rope_theta=1e6,
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(PAD),
        bos_token_id=None,
    )
