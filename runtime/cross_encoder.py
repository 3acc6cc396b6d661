"""What the arguments of sentence-transformers' `CrossEncoder` mean to `Reranker`, so that its calls work unchanged."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from onnxrank.errors import InputError

# Accepted with any value, because there is nothing to do.
WITHOUT_EFFECT = {
    "batch_size": "batches are made of tokens, so that padding costs least",
    "convert_to_numpy": "scores are a NumPy array",
    "chunk_size": "one process scores, on all cores",
    "model_card_data": "for training",
    "backend": "ONNX Runtime scores",
    "keep_in_fp32_modules": "the variant has decided it",
}

# The one value that is accepted, CrossEncoder's default, and what to do instead of others.
INSTEAD: dict[str, tuple[Any, str]] = {
    "apply_softmax": (False, "a document has one score here; give activation='sigmoid'"),
    "convert_to_tensor": (False, "onnxrank runs without torch; call torch.from_numpy with the result"),
    "device": (None, "choose it when opening the model"),
    "prompt_name": (None, "give the text itself as `instruction`"),
    "prompts": (None, "give `instruction` with each call"),
    "default_prompt_name": (None, "give `instruction` with each call"),
    "pool": (None, "all cores score in this process; choose how many with `threads` when opening"),
    "modules": (None, "export the model with `export-model`, and give its folder"),
    "trust_remote_code": (False, "a checkpoint's own code never runs here; leave it out"),
    "model_kwargs": (None, "the graphs are fixed at export; choose the precision with `variant`"),
    "processor_kwargs": (None, "the tokenizer is fixed at export; leave it out"),
    "tokenizer_kwargs": (None, "the tokenizer is fixed at export; leave it out"),
    "config_kwargs": (None, "the model is fixed at export; leave it out"),
    "num_labels": (None, "the model's head is fixed at export; leave it out"),
}

# Of `torch.nn`, by name, because torch is not needed here.
ACTIVATIONS = {"Sigmoid": "sigmoid", "Identity": "identity"}


def check_arguments(method: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise InputError for an argument that means nothing here, with what to do instead.

    given: the arguments that `method` does not declare.
    """
    for name, value in given.items():
        if name in WITHOUT_EFFECT:
            continue
        if name not in INSTEAD:
            near = difflib.get_close_matches(name, [*inspect.signature(method).parameters, *WITHOUT_EFFECT], n=1)
            called = method.__qualname__.removesuffix(".__init__")
            raise InputError(f"{called} takes no {name!r}" + (f"; do you mean {near[0]!r}?" if near else "."))
        accepted, instead = INSTEAD[name]
        if value is not accepted and not (name == "num_labels" and value == 1):
            raise InputError(f"{name} is {value!r:.60}: {instead}.")


def activation_of(function: object) -> Any:
    """Return the name of one of torch.nn's activations. Raises InputError for another function."""
    names = (getattr(function, "__name__", None), type(function).__name__)
    found = next((ACTIVATIONS[name] for name in names if name in ACTIVATIONS), None)
    if found is None:
        raise InputError(
            f"activation_fn is {function!r:.60}, and only torch.nn.Sigmoid and torch.nn.Identity are known here; apply "
            "the function to the logits that `score` returns."
        )
    return found
