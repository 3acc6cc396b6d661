"""Trains the benchmark's checkpoints: `python -m benchmarks.fidelity.checkpoints` (half an hour on two cores)."""

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from benchmarks.fidelity import decoders
from benchmarks.fidelity.packages import minilm
from benchmarks.fidelity.texts import Candidates, training_pairs
from benchmarks.fidelity.train import Score, train

CHECKPOINTS = Path("build/fidelity/checkpoints")
# Tokens of a pair in training; longer documents are cut.
DECODER_TOKENS, ENCODER_TOKENS = 128, 160


def decoder(folder: Path) -> None:
    """SmolLM2-135M as Llama, all 30 layers."""
    model, tokenizer = decoders.llama()
    train(model, decoder_score(model, tokenizer.backend_tokenizer), steps=200, rate=6e-5)
    decoders.save(model, tokenizer, folder)


def qwen3(folder: Path) -> None:
    """The trained decoder with Qwen3's norms of queries and keys, which takes some more steps to get used to them."""
    whole, tokenizer = decoders.opened(checkpoint("decoder"))
    backend = tokenizer.backend_tokenizer
    prompts = (
        decoders.prompt(backend, pair.query, pair.document, tokens=DECODER_TOKENS) for pair in training_pairs()[:2000]
    )
    texts = [ids for ids in prompts if len(ids) == DECODER_TOKENS]
    model = decoders.qwen3(whole, torch.tensor(texts[:32]))
    train(model, decoder_score(model, backend), steps=100, rate=1e-4)
    decoders.save(model, tokenizer, folder)


def encoder(folder: Path) -> None:
    """all-MiniLM-L6-v2 as a cross-encoder."""
    source = minilm()
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=1)
    tokenizer = AutoTokenizer.from_pretrained(source)
    train(model, _encoder_score(model, tokenizer), steps=600, rate=1e-4)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def late_interaction(folder: Path) -> None:
    """all-MiniLM-L6-v2 as a ColBERT in PyLate's form, not trained: MaxSim compares its own token vectors."""
    shutil.copytree(minilm(), folder, dirs_exist_ok=True)
    width = int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"])
    settings = {"in_features": width, "out_features": width, "bias": False}
    identity = {**settings, "activation_function": "torch.nn.modules.linear.Identity"}
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ]
    colbert = {
        "model_type": "ColBERT",
        "query_prefix": "",
        "document_prefix": "",
        "query_length": DECODER_TOKENS,
        "document_length": 256,
        "do_query_expansion": False,
    }
    (folder / "1_Dense").mkdir()
    save_file({"linear.weight": torch.eye(width)}, folder / "1_Dense/model.safetensors")
    for name, content in {
        "modules.json": modules,
        "1_Dense/config.json": identity,
        "config_sentence_transformers.json": colbert,
    }.items():
        (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")


MAKERS: dict[str, Callable[[Path], None]] = {
    "decoder": decoder,
    "qwen3": qwen3,
    "encoder": encoder,
    "late-interaction": late_interaction,
}


def checkpoint(name: str) -> Path:
    """Return the folder of a checkpoint, which is trained unless it is there."""
    folder = CHECKPOINTS / name
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        MAKERS[name](partial)
        partial.rename(folder)
    return folder


def decoder_score(model: Any, tokenizer: Tokenizer) -> Score:
    """Return the function that scores with a decoder."""
    yes, no = decoders.answers(tokenizer)

    def score(candidates: Sequence[Candidates]) -> Tensor:
        rows = [
            decoders.prompt(tokenizer, found.query, document, tokens=DECODER_TOKENS)
            for found in candidates
            for document in found.documents
        ]
        width = max(map(len, rows))
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        hidden = model.model(ids, attention_mask=mask).last_hidden_state
        last = hidden[torch.arange(len(rows)), mask.sum(1) - 1]
        logits: Tensor = last @ (model.lm_head.weight[yes] - model.lm_head.weight[no])
        return logits.view(len(candidates), -1)

    return score


def _encoder_score(model: Any, tokenizer: Any) -> Score:
    def score(candidates: Sequence[Candidates]) -> Tensor:
        queries = [found.query for found in candidates for _ in found.documents]
        documents = [document for found in candidates for document in found.documents]
        batch = tokenizer(
            queries, documents, truncation=True, max_length=ENCODER_TOKENS, padding=True, return_tensors="pt"
        )
        logits: Tensor = model(**batch).logits[:, 0]
        return logits.view(len(candidates), -1)

    return score


def main(
    names: Annotated[list[str], typer.Argument(help=f"{', '.join(MAKERS)}; all by default.")] = [*MAKERS],  # noqa: B006
) -> None:
    """Train the checkpoints that do not exist yet."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in names:
        checkpoint(name)


if __name__ == "__main__":
    typer.run(main)
