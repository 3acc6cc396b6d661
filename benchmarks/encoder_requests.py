"""The encoders' requests: mmBERT by exit and length (W5), ColBERT's encoding and MaxSim (W6)."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.encoders import exit_speeds
from benchmarks.full_size_encoders import EXITS
from benchmarks.long_text import FILLER, against_torch, alone, long_text
from benchmarks.maxsim import against_blas
from benchmarks.timing import medians

MMBERT, MMBERT_CHECKPOINT = Path("build/mmbert-artifact"), Path("build/mmbert-full-size")
COLBERT, COLBERT_CHECKPOINT = Path("build/colbert-artifact"), Path("build/colbert-full-size")
VARIANT = "int8"
SHORT, LONG = (128, 512), (2048, 4096, 32768)
DOCUMENTS, DOCUMENT_TOKENS = 200, 180


def exits(repeats: int) -> dict[str, Any]:
    """Export mmBERT and return the seconds of each exit at each length; long ones run once, in a fresh process."""
    _export("mmbert")
    return {
        "variant": VARIANT,
        "short": {str(tokens): alone(exit_speeds, MMBERT, VARIANT, tokens, 1, repeats) for tokens in SHORT},
        "long": {
            str(tokens): {str(layers): alone(long_text, MMBERT, VARIANT, tokens, layers) for layers in EXITS}
            for tokens in LONG
        },
        "against_pytorch_fp32_at_512": alone(against_torch, MMBERT, VARIANT, MMBERT_CHECKPOINT, repeats),
    }


def late_interaction(repeats: int) -> dict[str, Any]:
    """Export ColBERT and return the seconds of encoding, beside PyTorch's."""
    _export("colbert")
    return {"variant": VARIANT, **alone(encoding, repeats)}


def maxsim(documents: int, repeats: int) -> dict[str, float]:
    """Return the seconds of MaxSim with this many documents, and of BLAS."""
    return {"documents": documents, **alone(against_blas, documents, 32, 128, repeats)}


def encoding(repeats: int) -> dict[str, Any]:
    """Time our encoding of texts, and the body in PyTorch without the projections on as many tokens."""
    import torch
    import transformers
    from tokenizers import Tokenizer

    from onnxrank import LateInteraction

    tokenizer = Tokenizer.from_file(str(COLBERT / "tokenizer.json"))
    words = (FILLER * 8).split()
    length = next(n for n in range(len(words)) if len(tokenizer.encode(" ".join(words[:n])).ids) >= DOCUMENT_TOKENS)
    texts = [" ".join(words[i % 7 : length + i % 7]) for i in range(DOCUMENTS)]
    model = LateInteraction(COLBERT, variant=VARIANT)
    body = transformers.AutoModel.from_pretrained(COLBERT_CHECKPOINT, attn_implementation="sdpa").eval()
    ids = torch.randint(10, 500, (DOCUMENTS, DOCUMENT_TOKENS))

    def pytorch() -> None:
        with torch.inference_mode():
            for batch in torch.split(ids, 16):
                body(input_ids=batch, attention_mask=torch.ones_like(batch))

    ours, theirs = medians([lambda: model.encode(texts, is_query=False), pytorch], repeats)
    return {
        "documents": DOCUMENTS,
        "tokens": DOCUMENT_TOKENS,
        "seconds": round(ours, 2),
        "seconds_of_pytorch_fp32": round(theirs, 2),
        "ratio": round(ours / theirs, 2),
    }


def _export(model: str) -> None:
    # In a separate process, so that this one's memory stays small.
    command = [sys.executable, "-m", "benchmarks.encoders", model, VARIANT, "--keep", "--no-exits"]
    subprocess.run(command, check=True, stdout=sys.stderr)
