"""What the killed processes of `test_kills.py` do; a fork server imports this file once."""

from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from onnxrank import Cascade, Embedder
from onnxrank.engine import device
from onnxrank.export.proof import oracle
from tests.exports import score_here
from tests.fuzz.damage import export_small

# Imported here, because transformers imports models when they are first named.
MODELS = (PreTrainedTokenizerFast, Qwen3ForCausalLM)
CORPUS = [f"document {i}: sorts arrays of {i} numbers" for i in range(40)]


def one_core() -> None:
    torch.set_num_threads(1)
    setattr(device, "usable_cores", lambda: 1)  # noqa: B010  # mypy forbids the assignment


def write_artifact(checkpoint: Path, out: Path) -> None:
    one_core()
    oracle.ask = score_here
    export_small(checkpoint, out, "qwen3-reranker", force=True)


def write_index(retriever: Path, out: Path) -> None:
    cascade = Cascade(Embedder(retriever, threads=1))
    cascade.index(CORPUS)
    for _ in range(100):
        cascade.save(out)
