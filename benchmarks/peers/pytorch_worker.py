"""Scores with PyTorch, like sentence-transformers' CrossEncoder but without tokenizing.

`python -m benchmarks.peers.pytorch_worker WORKLOADS CLASSIFIER float32|bfloat16`
"""

import sys
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.peers.padding import Ids, score_padded
from benchmarks.peers.worker import Score, serve

# The fastest of those tried. Attention with a mask was not slower than causal attention without one.
BATCH_TOKENS = 512


def main(workloads: Path, classifier: Path, dtype: str) -> None:
    def load() -> Score:
        model: Any = transformers.AutoModelForSequenceClassification.from_pretrained(
            classifier, dtype=getattr(torch, dtype), attn_implementation="sdpa"
        ).eval()

        def run(feeds: dict[str, Ids]) -> Any:
            ids, mask = (torch.from_numpy(feeds[name]) for name in ("input_ids", "attention_mask"))
            with torch.inference_mode():
                return model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float()

        return lambda request: score_padded(request, BATCH_TOKENS, run)

    serve(load, workloads)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
