"""What a reranker family is: its prompt, its head, and the reference code that its exports are held to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from onnxrank.export.checkpoint import Checkpoint
from onnxrank.manifest import Prompt, VocabularyReadout


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """`weight` reads the float32 vector [hidden] whose product with the last hidden state is the logit.

    `readout` says which entries of the full vocabulary's logits give the same number.
    """

    weight: Callable[[], NDArray[np.float32]]
    readout: VocabularyReadout


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One reranker family.

    model_types: the architectures (config.json's model_type) it comes in.
    reference_token_ids(tokenizer, query, document, max_length): the prompt as the reference code builds it,
        with a transformers tokenizer.
    reference_logit(model, tokenizer, token_ids): the logit as the reference code reads it from a transformers
        causal language model; token_ids is a torch tensor [1, n].
    """

    name: str
    description: str
    model_types: Sequence[str]
    max_length: int
    activation: str
    prompt: Callable[[Tokenizer], Prompt]
    head: Callable[[Checkpoint, Tokenizer], Head]
    reference_token_ids: Callable[[Any, str, str, int], list[int]]
    reference_logit: Callable[[Any, Any, Any], float]
