"""The types of the fields that are read from a checkpoint's JSON files; they are checked when a file is read."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onnxrank.errors import CheckpointError

LARGEST = 2**31 - 1


class Fields(dict[str, Any]):
    """A JSON object that names its file if a field is missing."""

    def __init__(self, path: Path, data: Mapping[str, Any]) -> None:
        """Raises CheckpointError for a field of the wrong type."""
        super().__init__(data)
        self._path = path
        for name, value in data.items():
            check = CHECKS.get(name)
            if check and not (value is None and name not in SIZES) and not check[1](value):
                raise CheckpointError(
                    f"{path} sets {name} to {value!r:.60}, and it has to be {check[0]}; download the checkpoint again."
                )

    def __missing__(self, name: str) -> Any:
        raise CheckpointError(f"{self._path} does not set {name}; download the checkpoint again.")

    def __reduce__(self) -> Any:
        return Fields, (self._path, dict(self))


def is_number(value: object) -> bool:
    """Whether a value is a positive number, or 0, that float32 can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e38


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST


def _is_token(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -1 <= value <= LARGEST


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _are_prompts(value: object) -> bool:
    return isinstance(value, dict) and all(text is None or _is_text(text) for text in value.values())


# Never null, because no model works without them.
SIZES = {
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "type_vocab_size",
    "max_position_embeddings", "in_features", "out_features", "dimension",
}  # fmt: skip
_TYPES: list[tuple[str, Callable[[object], bool], set[str]]] = [
    (
        f"an integer from 1 to {LARGEST}",
        _is_size,
        SIZES | {"head_dim", "num_key_value_heads", "num_labels", "query_length", "document_length", "max_length",
                 "global_attn_every_n_layers", "local_attention"},
    ),
    ("a token's id", _is_token, {"pad_token_id", "true_token_id", "false_token_id"}),
    (
        "a number from 0 to 1e38",
        is_number,
        {"rms_norm_eps", "layer_norm_eps", "norm_eps", "rope_theta", "global_rope_theta", "local_rope_theta",
         "temperature"},
    ),
    (
        "a text",
        _is_text,
        {"model_type", "query_prefix", "document_prefix", "activation_function", "pooling_mode", "classifier_pooling"},
    ),
    ("a list of texts", _are_texts, {"architectures", "skiplist_words", "layer_types"}),
    ("an object of texts", _are_prompts, {"prompts"}),
    (
        "an object",
        _is_object,
        {"rope_parameters", "rope_scaling", "sentence_transformers", "query_expansion", "processing_kwargs",
         "modality_config", "id2label", "representation_contract"},
    ),
]  # fmt: skip
CHECKS = {name: (words, check) for words, check, names in _TYPES for name in names}
