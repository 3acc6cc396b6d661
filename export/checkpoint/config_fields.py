"""Refuses config.json fields that the graph does not implement, because they may change the scores."""

from collections.abc import Mapping, Set
from typing import Any

from onnxrank.errors import CheckpointError, UnsupportedError

# Fields that do not change inference arithmetic in any architecture.
HARMLESS = {
    "architectures", "model_type", "_name_or_path", "name_or_path", "transformers_version", "torch_dtype", "dtype",
    "use_cache", "initializer_range", "pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id",
    "mask_token_id", "id2label", "label2id", "num_labels", "problem_type", "return_dict", "output_hidden_states",
    "output_attentions", "is_encoder_decoder", "chunk_size_feed_forward", "sentence_transformers",
    "sbert_ce_default_activation_function", "_attn_implementation", "tie_word_embeddings", "gradient_checkpointing",
}  # fmt: skip


def head_dim(config: Mapping[str, Any]) -> int:
    """Return the length of an attention head's vectors. Raises CheckpointError unless heads fill the hidden size."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    if (given := config.get("head_dim")) is None and hidden % heads:
        raise CheckpointError(
            f"config.json sets hidden_size to {hidden} and num_attention_heads to {heads}, which does not divide it; "
            "download the checkpoint again."
        )
    return int(given or hidden // heads)


def refuse_unknown(
    config: Mapping[str, Any], *, read: Set[str], harmless: Set[str], fixed: Mapping[str, tuple[object, ...]]
) -> None:
    """Raise UnsupportedError for a field that is neither read nor harmless, or has another value than `fixed`.

    fixed: the values that a field may have, the usual one first.
    """
    for name, allowed in fixed.items():
        if name in config and config[name] not in allowed:
            raise UnsupportedError(
                f"config.json sets {name} to {config[name]!r:.60}, and only {allowed[0]!r} is supported."
            )
    for name, value in config.items():
        if name not in HARMLESS | read | harmless | set(fixed) and value not in (None, False, {}, []):
            raise UnsupportedError(
                f"config.json sets {name!r:.60} to {value!r:.60}, which may change the scores and is not supported; "
                "remove the field from config.json if it has no effect."
            )
