"""Graphs of classifiers whose architecture has no builder: PyTorch's own exporter traces them.

The tracer runs in a separate process. Its graph reads rows padded on the right; rows padded on the left are rolled
first. A traced graph is correct but slow, because ONNX Runtime cannot fuse its attention.
"""

import subprocess
import sys
import tempfile
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any

import onnx_ir as ir

from onnxrank.errors import UnsupportedError
from onnxrank.export.checkpoint.checkpoint import FLOATS, Checkpoint
from onnxrank.export.graph.builder import INLINE_BYTES, MICROSOFT, OPSET, GraphBuilder
from onnxrank.export.graph.decoder_inputs import INT64
from onnxrank.export.helper_process import command, last_line, settings
from onnxrank.export.scratch import scratch


def classifier(checkpoint: Checkpoint, labels: tuple[int, int | None]) -> ir.Model:
    """Return the traced float32 graph of a checkpoint of transformers' AutoModelForSequenceClassification.

    labels: the one whose logit is the score, and if not None another, whose logit is subtracted.
    Raises UnsupportedError if PyTorch cannot trace it, or if its output is not one logit.
    """
    for name, entry in checkpoint.tensors.items():
        if entry.dtype in FLOATS:
            checkpoint.tensor(name)  # raises CheckpointError for NaN, which PyTorch would not notice
    model = ir.load(_trace(checkpoint.folder, *labels))
    (output,) = model.graph.outputs
    if output.shape is None or output.shape[1] != 1:
        raise UnsupportedError(
            f"{checkpoint.folder.name} gives logits of shape {output.shape}, and a reranker has one score; "
            "such a classifier cannot be exported."
        )
    for value in model.graph.initializers.values():
        # Small tensors are saved inside the graph's file and must not refer to the tracer's data file.
        if isinstance(value.const_value, ir.ExternalTensor) and value.const_value.nbytes <= INLINE_BYTES:
            value.const_value = ir.tensor(value.const_value.numpy(), name=value.name)
    for node in model.graph:
        for value in node.outputs:
            if not value.is_graph_output():
                value.type = value.shape = None  # a variant may change the type
    _roll(model)
    model.graph.opset_imports[MICROSOFT] = 1
    return model


def _roll(model: ir.Model) -> None:
    """Insert nodes at the start that move each row's padding to the right."""
    b = GraphBuilder()
    inputs = {str(v.name): b.input(str(v.name), INT64, ["batch_size", "sequence_length"]) for v in model.graph.inputs}
    mask = inputs["attention_mask"]
    padding = b.op("ArgMax", b.op("Cast", mask, to=ir.DataType.INT32), axis=1, keepdims=1, name="left_padding")
    length = b.op("Squeeze", b.op("Shape", mask, start=1, end=2), name="sequence_length_scalar")
    places = b.op("Range", b.constant(0, "zero"), length, b.constant(1, "one"))
    rolled = b.op("Mod", b.op("Add", padding, places), length, name="rolled")
    b.prepend(
        model,
        {name: b.op("GatherElements", value, rolled, axis=1, name=f"{name}.rolled") for name, value in inputs.items()},
    )


@cache
def _trace(folder: Path, label: int, other: int | None) -> Path:
    target = Path(tempfile.mkdtemp(dir=scratch())) / "traced.onnx"
    labels = (label,) if other is None else (label, other)
    arguments = command("onnxrank.export.graph.traced", folder.resolve(), target, *labels)
    done = subprocess.run(arguments, capture_output=True, check=False, **settings())
    if done.returncode != 0:
        reason = last_line(done.stderr, done.returncode)
        raise UnsupportedError(
            f"{folder.name} has an architecture without a builder here, and PyTorch cannot trace it ({reason})."
        )
    return target


def _serve(folder: Path, target: Path, label: int, *others: int) -> None:
    import torch
    import transformers

    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False
    ).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    names = ["input_ids", "attention_mask"]
    # A tokenizer may give token types and yet leave all at 0, as models do without this input.
    if "token_type_ids" in signature(model.forward).parameters and any(
        tokenizer([["a", "b"]]).get("token_type_ids", [[0]])[0]
    ):
        names.append("token_type_ids")

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Any) -> Any:
            logits = self.model(**dict(zip(names, inputs, strict=True))).logits
            for other in others:
                logits = logits[:, label : label + 1] - logits[:, other : other + 1]
            return logits

    # Two rows of seven tokens, because the tracer would take a dimension of 1 for a constant.
    examples = {"input_ids": torch.full((2, 7), 5), "attention_mask": torch.ones(2, 7, dtype=torch.int64)}
    examples["token_type_ids"] = torch.zeros(2, 7, dtype=torch.int64)
    dynamic = {0: torch.export.Dim("batch_size"), 1: torch.export.Dim("sequence_length")}
    program = torch.onnx.export(
        Logits().eval(),
        tuple(examples[name] for name in names),
        dynamo=True,
        dynamic_shapes=((dynamic,) * len(names),),
        input_names=names,
        output_names=["logits"],
        opset_version=OPSET,
    )
    assert program is not None
    program.save(target, external_data=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
