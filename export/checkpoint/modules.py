"""The module folders of sentence-transformers and PyLate: modules.json, and the layers that follow the transformer."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import onnx_ir as ir

from onnxrank.artifact.manifest import Activation
from onnxrank.errors import CheckpointError, UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint, read_json, read_json_list
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.weights import Weights

MODULES = "modules.json"
KNOWN = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "LogitScore", "MultiVectorMask")


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One entry of modules.json. `config` is the config.json of its folder, which may have none."""

    kind: str
    folder: str
    config: dict[str, Any]


def read_modules(checkpoint: Checkpoint) -> list[Module]:
    """Return the modules in their order; an empty list where there is no modules.json.

    Raises UnsupportedError for a module that is not known, CheckpointError for a folder outside the checkpoint.
    """
    path = checkpoint.folder / MODULES
    if not path.is_file():
        return []
    modules = []
    for entry in read_json_list(path):
        kind = str(entry.get("type", "")).rpartition(".")[2]
        folder = str(entry.get("path", ""))
        if kind not in KNOWN:
            raise UnsupportedError(
                f"{path} names the module {entry.get('type')!r}, and {', '.join(KNOWN)} are known; "
                "such a checkpoint cannot be exported."
            )
        parts = PurePosixPath(folder).parts
        if ".." in parts or folder.startswith("/") or "\\" in folder:
            raise CheckpointError(f"{path} names {folder!r}, a folder outside the checkpoint; do not use it.")
        config = checkpoint.folder / folder / "config.json"
        own = folder and kind != "Transformer" and config.is_file()
        modules.append(Module(kind=kind, folder=folder, config=read_json(config) if own else {}))
    return modules


def st_config(checkpoint: Checkpoint, name: str = "config_sentence_transformers.json") -> dict[str, Any]:
    """Return a configuration file of sentence-transformers, or nothing where there is none."""
    path = checkpoint.folder / name
    return read_json(path) if path.is_file() else {}


SCORE_ACTIVATIONS: dict[str, Activation] = {"Sigmoid": "sigmoid", "Identity": "identity"}


def score_activation(checkpoint: Checkpoint) -> Activation:
    """Return what a cross-encoder's logit becomes, "sigmoid" or "identity".

    Source: CrossEncoder.get_default_activation_fn of sentence-transformers.
    """
    named = (
        (checkpoint.config.get("sentence_transformers") or {}).get("activation_fn")
        or st_config(checkpoint).get("activation_fn")
        or checkpoint.config.get("sbert_ce_default_activation_function")
        or "torch.nn.modules.activation.Sigmoid"
    )
    name = str(named).rpartition(".")[2]
    if name not in SCORE_ACTIVATIONS:
        raise UnsupportedError(
            f"{checkpoint.folder.name} names the activation {named!r}, and Sigmoid and Identity are supported; "
            "choose with --activation."
        )
    return SCORE_ACTIVATIONS[name]


# Names in torch.nn: the operator and its domain.
ACTIVATIONS = {"Identity": None, "Tanh": "Tanh", "ReLU": "Relu", "Sigmoid": "Sigmoid", "GELU": "Gelu"}


def activation_of(module: Module) -> str:
    """Return the torch.nn class name of a Dense module's activation; Tanh where none is named, as its class has it."""
    name = str(module.config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    short = name.rpartition(".")[2]
    if not name.startswith("torch.nn.") or short not in ACTIVATIONS:
        raise UnsupportedError(
            f"{module.folder}/config.json names the activation {name!r}, and {', '.join(ACTIVATIONS)} of torch.nn "
            "are supported; such a checkpoint cannot be exported."
        )
    return short


def dense(b: GraphBuilder, checkpoint: Checkpoint, module: Module, x: ir.Value, name: str) -> ir.Value:
    """Append a Dense module: act(x W^T + b), plus x (or its projection) where it is residual.

    name: of its weights in the graph. Source: pylate/models/Dense.py, sentence_transformers/base/modules/dense.py.
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
    """The same in PyTorch: a function of a float32 tensor [..., in_features]."""
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
    """The same in PyTorch."""
    own = Checkpoint.open(checkpoint.folder / module.folder)
    weight, bias = (torch.from_numpy(own.tensor(f"norm.{part}").copy()) for part in ("weight", "bias"))
    return lambda x: torch.nn.functional.layer_norm(x, weight.shape, weight, bias)


def pooling(module: Module) -> str:
    """Return "cls", "mean" or "last". Raises UnsupportedError for another pooling."""
    flags = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean", "pooling_mode_lasttoken": "last"}
    names = {"cls": "cls", "mean": "mean", "lasttoken": "last"}
    modes = [short for flag, short in flags.items() if module.config.get(flag)]
    modes += [names[mode] for mode in [module.config.get("pooling_mode")] if mode in names]
    if len(modes) != 1:
        raise UnsupportedError(
            f"{module.folder}/config.json pools in a way that is not supported; cls, mean and lasttoken are."
        )
    return modes[0]
