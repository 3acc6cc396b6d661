"""Computes PyTorch's own scores of an unmodified checkpoint.

It runs in a separate process, so that the exporter's memory never holds the model. A family's reference code gets
PyTorch as an argument: only this file, the tracer and the reader of pickles import torch.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from onnxrank.artifact.golden import Golden, GoldenPair
from onnxrank.artifact.manifest import Scoring
from onnxrank.artifact.schema import SchemaError, read, write
from onnxrank.errors import BackendError, CheckpointError, one_line
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.checkpoint.tokenizer import read_tokenizer
from onnxrank.export.checkpoint.vocabulary import Vocabulary
from onnxrank.export.families import FAMILIES
from onnxrank.export.families.family import Reference, Torch
from onnxrank.export.helper_process import command, last_line, settings
from onnxrank.export.options import FamilyOptions, Setting
from onnxrank.export.proof.sensitivity import collect
from onnxrank.leftovers import cleaned_up
from onnxrank.progress import Done

# Weights of a model that is converted to float32 as a whole, in 4 GB. Converting each layer whenever it runs takes half
# of the memory, and for Qwen3-Reranker-0.6B two fifths as long as the layer itself at 140 tokens.
SMALL = 10**9
# Rows of a stored weight that are converted at a time: a vocabulary's matrix in float32 may take gigabytes.
WIDENED = 8192


def record(
    checkpoint: str,
    *,
    family: str,
    pairs: Sequence[GoldenPair],
    options: Mapping[str, Setting],
    revision: str | None = None,
    instruction: str | None = None,
    done: Done = lambda n: None,
) -> Golden:
    """Return `pairs` with the reference's token ids and, if a pair's logits are not None, its logits.

    checkpoint: an alias, hub id or folder. revision: of a hub id. options: from Options.recorded; if they include
    scripts, the ids are those of the smaller vocabulary, and pairs with other tokens are left out. instruction: instead
    of the model's default. `done(1)` is called after each pair. Raises BackendError if torch or transformers is
    missing, CheckpointError if transformers cannot load it.
    """
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise BackendError(f"the proof needs {package}, which is not installed: `pip install onnxrank[export]`.")
    folder = locate(checkpoint, revision=revision).folder
    request = {
        "folder": str(folder.resolve()),
        "family": family,
        "options": dict(options),
        "instruction": instruction,
        "pairs": [write(pair) for pair in pairs],
    }
    try:
        golden = read(Golden, ask(request, done))
    except (OracleError, SchemaError) as error:
        if isinstance(error, SchemaError):  # a score is NaN
            Checkpoint.open(folder).check_values()
        raise CheckpointError(
            f"PyTorch cannot score {checkpoint} ({one_line(error)}); check the checkpoint with transformers."
        ) from error
    if "scripts" not in options:
        return golden
    opened = Checkpoint.open(folder)
    plan = FAMILIES[family].plan(opened, read_tokenizer(folder), FamilyOptions.of(options))
    return Vocabulary.of(opened, plan.scoring, str(options["scripts"]).split(",")).golden(golden)


def tokenize(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    """Return the texts' token ids from a checkpoint's transformers tokenizer, without added tokens.

    Raises CheckpointError if transformers cannot load it.
    """
    try:
        found: list[list[int]] = ask({"folder": str(folder.resolve()), "texts": list(texts)}, lambda n: None)["ids"]
    except OracleError as error:
        raise CheckpointError(
            f"transformers cannot read texts with the tokenizer of {folder} ({one_line(error)}); check it there."
        ) from error
    return found


def measure_sensitivity(
    folder: Path,
    *,
    family: str,
    options: Mapping[str, Setting],
    pairs: Sequence[tuple[str, str]],
    out: Path,
    done: Done = lambda n: None,
) -> dict[str, Path]:
    """Return files with the second moments of each linear layer's inputs, see sensitivity.py, by the names of the
    layers' modules; they are written to `out`.

    pairs: texts (query, document). `done(1)` is called after each pair. Raises CheckpointError if transformers cannot
    load the checkpoint.
    """
    request = {
        "folder": str(folder.resolve()),
        "family": family,
        "options": dict(options),
        "instruction": None,
        "pairs": pairs,
        "moments": str(out),
    }
    try:
        files: dict[str, str] = ask(request, done)
    except OracleError as error:
        raise CheckpointError(
            f"PyTorch cannot measure how much scores depend on each layer ({one_line(error)}); "
            "leave it out with --quality fast."
        ) from error
    return {name: Path(file) for name, file in files.items()}


class OracleError(Exception):
    """The oracle's process returned no answer."""


def ask(request: Mapping[str, Any], done: Done) -> Any:
    """Return what `score_request` returns, from a process of its own."""
    with (
        # A file, because a pipe would fill up while the answers are read.
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr,
        subprocess.Popen(
            command("onnxrank.export.proof.oracle"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            **settings(),
        ) as process,
        # Popen alone would wait for the process, however long it still takes.
        cleaned_up(process.kill),
    ):
        assert process.stdin and process.stdout
        # A process that died at an import reads nothing; its standard error says why.
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request))
            process.stdin.flush()
        with suppress(BrokenPipeError):
            process.stdin.close()
        answer = None
        for line in process.stdout:
            answer = json.loads(line)
            if not answer:
                done(1)
        process.wait()
        stderr.seek(0)
        problem = last_line(stderr.read(), process.returncode)
    if process.returncode != 0 or answer is None:
        raise OracleError(problem)
    return answer


def score_request(request: Mapping[str, Any], done: Done) -> dict[str, Any]:
    """Answer a request of `record`, `tokenize` or `measure_sensitivity`; `done(1)` is called after each scored pair."""
    import torch
    import transformers

    if "texts" in request:
        tokenizer = transformers.AutoTokenizer.from_pretrained(request["folder"], trust_remote_code=False)
        return {"ids": [tokenizer(text, add_special_tokens=False)["input_ids"] for text in request["texts"]]}
    options = FamilyOptions.of(request["options"])
    load = _load_for_gradients if "moments" in request else _load
    reference = reference_of(Path(request["folder"]), request["family"], options, request["instruction"], load)
    if "moments" in request:
        encoded = [reference.encode(query, document) for query, document in request["pairs"]]
        return collect(
            torch,
            reference.model,
            [partial(reference.score, *ids) for ids in encoded],
            folder=Path(request["moments"]),
            done=done,
        )
    pairs = []
    with torch.inference_mode():
        for pair in request["pairs"]:
            query_ids, token_ids = reference.encode(pair["query"], pair["document"])
            logits = pair["logits"]
            if logits is not None:
                logits = reference.score(query_ids, token_ids).double().reshape(-1).tolist()
            pairs.append({**pair, "query_token_ids": query_ids, "token_ids": token_ids, "logits": logits})
            done(1)
    oracle = {"torch": torch.__version__, "transformers": transformers.__version__, "dtype": "float32"}
    return {"oracle": oracle, "pairs": pairs}


def _serve() -> None:
    """Read a request from standard input; write a line per scored pair, then the answer."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    _tell(score_request(json.load(sys.stdin), lambda n: _tell({})))


def _tell(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def reference_of(
    folder: Path,
    family: str,
    options: FamilyOptions,
    instruction: str | None = None,
    load: Callable[..., Any] | None = None,
) -> Reference:
    """Return a family's reference code for a checkpoint, which is loaded into this process.

    instruction: instead of the model's default. load: instead of `_load`.
    """
    import torch
    import transformers

    checkpoint = Checkpoint.open(folder)
    plan = FAMILIES[family].plan(checkpoint, read_tokenizer(folder), options)
    return FAMILIES[family].reference(
        Torch(
            torch=torch,
            transformers=transformers,
            folder=folder,
            checkpoint=checkpoint,
            options=options,
            scoring=plan.scoring if instruction is None else _instructed(plan.scoring, instruction),
            tokenizer=transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False),
            load=partial(load or _load, folder),
        )
    )


def _instructed(scoring: Scoring, instruction: str) -> Scoring:
    if scoring.prompt:
        return replace(scoring, prompt=replace(scoring.prompt, default_instruction=instruction))
    assert scoring.texts
    return replace(scoring, texts=replace(scoring.texts, default_instruction=instruction))


def _load(folder: Path, auto_class: str, **arguments: Any) -> Any:
    model = _from_pretrained(folder, auto_class, **arguments)
    if sum(parameter.numel() for parameter in model.parameters()) <= SMALL:
        return model.float()
    for module in model.modules():
        _compute_in_float32(module)
    return model


def _load_for_gradients(folder: Path, auto_class: str, **arguments: Any) -> Any:
    """Load a model through which gradients of activations can be computed in float32. Linear layers keep their stored
    dtype: autograd would hold a float32 copy of all weights from the forward to the backward pass."""
    import torch

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Any, weight: Any) -> Any:
            context.save_for_backward(weight)
            return torch.cat([x @ rows.float().T for rows in weight.split(WIDENED)], -1)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            parts = zip(gradient.split(WIDENED, -1), context.saved_tensors[0].split(WIDENED), strict=True)
            return sum(part @ rows.float() for part, rows in parts), None

    def multiply(layer: Any, x: Any) -> Any:
        product = Product.apply(x, layer.weight)  # type: ignore[no-untyped-call]  # torch's own
        return product if layer.bias is None else product + layer.bias.float()

    model = _from_pretrained(folder, auto_class, **arguments)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and module.weight.dtype != torch.float32:
            module.forward = partial(multiply, module)  # type: ignore[method-assign]  # keeps the hooks
        elif not isinstance(module, torch.nn.Linear | torch.nn.Embedding):
            module._apply(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor, recurse=False)
    return model


def _from_pretrained(folder: Path, auto_class: str, **arguments: Any) -> Any:
    import transformers

    # Eager attention is the plain formula; the weights keep their stored dtype, and layers compute in float32.
    # Code of a checkpoint is never run; without an explicit False, transformers would ask at the terminal.
    settings = {"dtype": "auto", "attn_implementation": "eager", "trust_remote_code": False, **arguments}
    return getattr(transformers, auto_class).from_pretrained(folder, **settings).eval()


def _compute_in_float32(module: Any) -> None:
    """Convert a layer's weights to float32 while it runs: exact, with half the memory of a model in float32."""
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
