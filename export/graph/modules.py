"""The modules of sentence-transformers and PyLate that follow a transformer, as graphs and in PyTorch."""

from typing import Any

import onnx_ir as ir

from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.modules import ACTIVATIONS, Module, activation_of
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.weights import Weights


def dense(b: GraphBuilder, checkpoint: Checkpoint, module: Module, x: ir.Value, name: str) -> ir.Value:
    """Append a Dense module: act(x W^T + b), plus x (or its projection) where it is residual.

    name: prefix of its weights' names in the graph.
    Source: pylate/models/Dense.py, sentence_transformers/base/modules/dense.py.
    """
    config = module.config
    inputs, outputs = int(config["in_features"]), int(config["out_features"])
    weights = Weights(b, Checkpoint.open(checkpoint.folder / module.folder))
    y = weights.linear("linear", x, outputs, inputs, bias=bool(config.get("bias", True)), as_name=f"{name}.linear")
    operator = ACTIVATIONS[activation_of(module)]
    if operator == "Gelu":
        (y,) = b.contrib("Gelu", y, outputs=[f"{name}.gelu"])
    elif operator:
        y = b.op(operator, y, name=f"{name}.activation")
    if config.get("use_residual", False):
        if inputs != outputs:
            x = weights.linear("residual", x, outputs, inputs, bias=False, as_name=f"{name}.residual")
        y = b.op("Add", y, x, name=f"{name}.with_residual")
    return y


def dense_reference(torch: Any, checkpoint: Checkpoint, module: Module) -> Any:
    """Return the module in PyTorch: a function of a float32 tensor [..., in_features]."""
    own = Checkpoint.open(checkpoint.folder / module.folder)
    tensors = {name: torch.from_numpy(own.tensor(name).copy()) for name in own.tensors}
    activation = getattr(torch.nn, activation_of(module))()

    def forward(x: Any) -> Any:
        y = activation(torch.nn.functional.linear(x, tensors["linear.weight"], tensors.get("linear.bias")))
        if module.config.get("use_residual", False):
            y = y + (torch.nn.functional.linear(x, tensors["residual.weight"]) if "residual.weight" in tensors else x)
        return y

    return forward


def layer_norm(b: GraphBuilder, checkpoint: Checkpoint, module: Module, x: ir.Value, name: str) -> ir.Value:
    """Append a LayerNorm module."""
    width = int(module.config["dimension"])
    weights = Weights(b, Checkpoint.open(checkpoint.folder / module.folder))
    scale, shift = (weights.tensor(f"norm.{part}", (width,), as_name=f"{name}.{part}") for part in ("weight", "bias"))
    return b.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5, stash_type=1, name=f"{name}.normed")


def layer_norm_reference(torch: Any, checkpoint: Checkpoint, module: Module) -> Any:
    """Return the module in PyTorch."""
    own = Checkpoint.open(checkpoint.folder / module.folder)
    weight, bias = (torch.from_numpy(own.tensor(f"norm.{part}").copy()) for part in ("weight", "bias"))
    return lambda x: torch.nn.functional.layer_norm(x, weight.shape, weight, bias)
