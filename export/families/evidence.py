"""What in a checkpoint's files proves the prompt that a language model was trained with."""

import re

from onnxrank.export.architectures import DECODERS
from onnxrank.export.checkpoint.card import base_models
from onnxrank.export.checkpoint.chat_template import source_of
from onnxrank.export.checkpoint.checkpoint import Checkpoint


def architecture(checkpoint: Checkpoint) -> str:
    """Return the class that saved the checkpoint, such as Qwen3ForCausalLM; empty if config.json does not say."""
    return str((checkpoint.config.get("architectures") or [""])[0])


def is_classifier(checkpoint: Checkpoint) -> bool:
    """Whether a class for sequence classification saved it, so that it has no vocabulary projection."""
    return architecture(checkpoint).endswith("ForSequenceClassification")


def prompts_with(words: str, checkpoint: Checkpoint) -> bool:
    """Whether it is a decoder whose chat template has these words of the prompt."""
    return checkpoint.config.get("model_type") in DECODERS and words in (source_of(checkpoint) or "")


def trained_from(pattern: str, checkpoint: Checkpoint) -> bool:
    """Whether it is a causal language model that config.json or the model card traces back to such a hub id."""
    named = [str(checkpoint.config.get("_name_or_path", "")), *base_models(checkpoint.folder)]
    return (
        checkpoint.config.get("model_type") in DECODERS
        and architecture(checkpoint).endswith("ForCausalLM")
        and any(re.fullmatch(pattern, name) for name in named)
    )
