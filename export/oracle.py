"""PyTorch's own scores of an untouched checkpoint: the only file that imports torch or transformers.

It runs as a process of its own, so that the exporter's memory never holds the model.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from onnxrank.errors import BackendError, CheckpointError
from onnxrank.export.families import FAMILIES
from onnxrank.export.sources import locate
from onnxrank.golden import Golden, GoldenPair
from onnxrank.schema import read, write

Done = Callable[[int], None]


def record(
    checkpoint: str, *, family: str, pairs: Sequence[GoldenPair], max_length: int, done: Done = lambda n: None
) -> Golden:
    """Return `pairs` with the reference's token ids, and its logits where a pair's logit is not None.

    checkpoint: an alias, hub id or folder. `done(1)` is called after each pair.
    Raises BackendError if torch or transformers is missing, CheckpointError if transformers cannot load it.
    """
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise BackendError(f"the proof needs {package}, which is not installed: `pip install onnxrank[export]`.")
    request = {
        "folder": str(locate(checkpoint).folder),
        "family": family,
        "max_length": max_length,
        "pairs": [write(pair) for pair in pairs],
    }
    command = [sys.executable, "-m", "onnxrank.export.oracle"]
    with (
        # A file, not a pipe: nobody would read a pipe while the answers are read.
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(request))
        process.stdin.close()
        answer = None
        for line in process.stdout:
            answer = json.loads(line)
            done(1)
        process.wait()
        complaints.seek(0)
        problem = complaints.read().strip()
    if process.returncode != 0 or answer is None:
        reason = problem.splitlines()[-1] if problem else f"exit status {process.returncode}"
        raise CheckpointError(f"PyTorch cannot score {checkpoint} ({reason}); check the checkpoint with transformers.")
    return read(Golden, answer)


def _serve() -> None:
    """Read a request from standard input; write a line per scored pair, then the golden scores."""
    import torch
    import transformers

    request = json.load(sys.stdin)
    family = FAMILIES[request["family"]]
    folder = Path(request["folder"])
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    # Eager attention is the plain formula; the weights stay as stored, and compute in float32.
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="auto", attn_implementation="eager").eval()
    for module in model.modules():
        _compute_in_float32(module)

    pairs = []
    with torch.inference_mode():
        for asked in request["pairs"]:
            token_ids = family.reference_token_ids(tokenizer, asked["query"], asked["document"], request["max_length"])
            logit = asked["logit"]
            if logit is not None:
                logit = family.reference_logit(model, tokenizer, torch.tensor([token_ids]))
            pairs.append({**asked, "token_ids": token_ids, "logit": logit})
            sys.stdout.write("{}\n")
            sys.stdout.flush()
    oracle = {"torch": torch.__version__, "transformers": transformers.__version__, "dtype": "float32"}
    sys.stdout.write(json.dumps({"oracle": oracle, "pairs": pairs}) + "\n")


def _compute_in_float32(module: Any) -> None:
    """Widen a layer's weights while it runs: exact, and half the memory of a model in float32."""
    import torch

    stored = {name: p.data for name, p in module.named_parameters(recurse=False) if p.dtype != torch.float32}
    if not stored:
        return

    def widen(module: Any, inputs: Any) -> None:
        for name, data in stored.items():
            getattr(module, name).data = data.float()

    def restore(module: Any, inputs: Any, output: Any) -> None:
        for name, data in stored.items():
            getattr(module, name).data = data

    module.register_forward_pre_hook(widen)
    module.register_forward_hook(restore)


if __name__ == "__main__":
    _serve()
