"""Reads the module folders of sentence-transformers and PyLate: modules.json and each module's configuration."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from onnxrank.artifact.manifest import Activation
from onnxrank.errors import CheckpointError, UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint, read_json, read_json_list
from onnxrank.export.checkpoint.field_types import Fields

MODULES = "modules.json"
KNOWN = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "LogitScore", "MultiVectorMask")


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One entry of modules.json. config: its folder's config.json, empty if there is none."""

    kind: str
    folder: str
    config: dict[str, Any]


def read_modules(checkpoint: Checkpoint) -> list[Module]:
    """Return the modules in order; an empty list if there is no modules.json.

    Raises UnsupportedError for an unknown module, CheckpointError for a folder that is not inside the checkpoint.
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
                f"{path} names the module {entry.get('type')!r:.60}, and {', '.join(KNOWN)} are known; "
                "such a checkpoint cannot be exported."
            )
        parts = PurePosixPath(folder).parts
        if ".." in parts or folder.startswith("/") or "\\" in folder or not folder.isprintable():
            raise CheckpointError(
                f"{path} names {folder!r:.60}, which is no folder inside the checkpoint; do not use it."
            )
        config = checkpoint.folder / folder / "config.json"
        own = folder and kind != "Transformer" and config.is_file()
        modules.append(Module(kind=kind, folder=folder, config=read_json(config) if own else Fields(config, {})))
    return modules


def st_config(checkpoint: Checkpoint, name: str = "config_sentence_transformers.json") -> dict[str, Any]:
    """Return a configuration file of sentence-transformers, or an empty dict if there is none."""
    path = checkpoint.folder / name
    return read_json(path) if path.is_file() else {}


SCORE_ACTIVATIONS: dict[str, Activation] = {"Sigmoid": "sigmoid", "Identity": "identity"}


def score_activation(checkpoint: Checkpoint) -> Activation:
    """Return a cross-encoder's activation, "sigmoid" or "identity".

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
            f"{checkpoint.folder.name} names the activation {named!r:.60}, and Sigmoid and Identity are supported; "
            "choose with --activation."
        )
    return SCORE_ACTIVATIONS[name]


# torch.nn class name: ONNX operator.
ACTIVATIONS = {"Identity": None, "Tanh": "Tanh", "ReLU": "Relu", "Sigmoid": "Sigmoid", "GELU": "Gelu"}


def activation_of(module: Module) -> str:
    """Return the torch.nn class name of a Dense module's activation; Tanh if none is named, as in its own code."""
    name = str(module.config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    short = name.rpartition(".")[2]
    if not name.startswith("torch.nn.") or short not in ACTIVATIONS:
        raise UnsupportedError(
            f"{module.folder}/config.json names the activation {name!r:.60}, and {', '.join(ACTIVATIONS)} of torch.nn "
            "are supported; such a checkpoint cannot be exported."
        )
    return short


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
