"""Qwen3-Reranker: a causal language model that answers "yes" or "no".

Prompt and scoring follow the transformers code of the model card: the prefix, the body and the suffix are tokenized
separately, the body is cut from the right, and the score is softmax over (no, yes) at the last position, which is
sigmoid(logit(yes) - logit(no)). In conversions to Qwen3ForSequenceClassification, score.weight is the difference of the
two rows or, with two labels, these rows.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from onnxrank.artifact.manifest import Prompt
from onnxrank.export.architectures import DECODERS, decoder
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.labels import scored_labels
from onnxrank.export.checkpoint.tokenizer import fixed_token_ids, pad_token_id, single_token
from onnxrank.export.families.answer_logits import answer_plan, answer_reference
from onnxrank.export.families.evidence import prompts_with, trained_from
from onnxrank.export.families.family import Family, Plan, Reference, Torch
from onnxrank.export.graph.heads import Read
from onnxrank.export.options import FamilyOptions

PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
BODY = "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}"
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
YES, NO = "yes", "no"
# The head of a conversion to a sequence classifier, which replaces the vocabulary projection.
CLASSIFIER = "score.weight"
MAX_LENGTH = 8192


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether its chat template has the prompt's words, or it is a language model trained from a Qwen3-Reranker.

    A sequence classifier without that template is not certain: it may be a reward model, or trained on plain pairs.
    """
    return prompts_with("Judge whether the Document meets", checkpoint) or trained_from(
        r"Qwen/Qwen3-Reranker-\d.*", checkpoint
    )


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    return answer_plan(
        checkpoint,
        prompt(tokenizer),
        true=single_token(tokenizer, YES),
        false=single_token(tokenizer, NO),
        max_length=decoder.longest(checkpoint, options.max_length, MAX_LENGTH),
        pad_token_id=pad_token_id(checkpoint, tokenizer),
        activation="sigmoid",
        weight=_score_weight(checkpoint) if _is_classifier(checkpoint) else None,
    )


def prompt(tokenizer: Tokenizer) -> Prompt:
    """Return the prompt. The body is split after `<Query>:` and `<Document>:`, where the tokenizer never merges because
    a space follows."""
    return Prompt(
        prefix_token_ids=fixed_token_ids(tokenizer, PREFIX),
        instruction="<Instruct>: {instruction}\n<Query>:",
        query=" {query}\n<Document>:",
        separator_token_ids=(),
        document=" {document}",
        suffix_token_ids=fixed_token_ids(tokenizer, SUFFIX),
        default_instruction=INSTRUCTION,
        truncation="document",
        document_template=None,
    )


def reference(torch: Torch) -> Reference:
    tokenizer = torch.tokenizer
    assert torch.scoring.prompt
    instruction = torch.scoring.prompt.default_instruction

    def encode(query: str, document: str) -> tuple[list[int], list[int]]:
        return [], reference_token_ids(tokenizer, query, document, torch.scoring.max_length, instruction)

    if not _is_classifier(torch.checkpoint):
        return answer_reference(torch, encode, *tokenizer.convert_tokens_to_ids([YES, NO]))
    model = torch.load("AutoModelForSequenceClassification")
    relevant, other = scored_labels(torch.checkpoint)

    def score(query_ids: list[int], ids: list[int]) -> Any:
        logits = model(input_ids=torch.torch.tensor([ids])).logits[0].float()
        return logits[relevant] if other is None else logits[relevant] - logits[other]

    return Reference(encode=encode, score=score, model=model)


def reference_token_ids(
    tokenizer: Any, query: str, document: str, max_length: int, instruction: str | None = INSTRUCTION
) -> list[int]:
    """Return the model card's prompt, from a transformers tokenizer."""
    prefix = tokenizer.encode(PREFIX, add_special_tokens=False)
    suffix = tokenizer.encode(SUFFIX, add_special_tokens=False)
    body = tokenizer(
        BODY.format(instruction=instruction, query=query, document=document),
        add_special_tokens=False,
        truncation="longest_first",
        max_length=max_length - len(prefix) - len(suffix),
    )
    return [*prefix, *body["input_ids"], *suffix]


def _score_weight(checkpoint: Checkpoint) -> Read:
    relevant, other = scored_labels(checkpoint)
    checkpoint.require(CLASSIFIER, (1 if other is None else 2, checkpoint.config["hidden_size"]))

    def read() -> NDArray[np.float32]:
        rows = checkpoint.tensor(CLASSIFIER)
        found: NDArray[np.float32] = rows[relevant] if other is None else rows[relevant] - rows[other]
        return found

    return read


def _is_classifier(checkpoint: Checkpoint) -> bool:
    return CLASSIFIER in checkpoint.tensors


FAMILY = Family(
    name="qwen3-reranker",
    description="yes/no causal language model, instruction-aware (Qwen3-Reranker 0.6B, 4B, 8B)",
    model_types=sorted(DECODERS),
    options=frozenset({"max_length"}),
    recognises=recognises,
    plan=plan,
    reference=reference,
)
