"""Qwen3-Reranker: a causal language model that answers "yes" or "no".

Prompt and scoring follow the transformers code of the model card: the prefix, the body and the suffix are tokenized
separately, the body is cut from the right, and the score is softmax over (no, yes) at the last position, which is
sigmoid(logit(yes) - logit(no)). In conversions to Qwen3ForSequenceClassification, score.weight is the difference of the
two rows.
"""

from typing import Any

from tokenizers import Tokenizer

from onnxrank.artifact.manifest import Prompt
from onnxrank.export.architectures import DECODERS, decoder
from onnxrank.export.checkpoint.checkpoint import Checkpoint, read_text
from onnxrank.export.checkpoint.tokenizer import fixed_token_ids, pad_token_id, single_token
from onnxrank.export.families.answer_logits import answer_plan, answer_reference
from onnxrank.export.families.family import Family, Plan, Reference, Torch
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
    """Whether the checkpoint has the family's chat template."""
    template = checkpoint.folder / "chat_template.jinja"
    return template.is_file() and "Judge whether the Document meets" in read_text(template)


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    classifier = _is_classifier(checkpoint)
    if classifier:
        checkpoint.require(CLASSIFIER, (1, checkpoint.config["hidden_size"]))
    return answer_plan(
        checkpoint,
        prompt(tokenizer),
        true=single_token(tokenizer, YES),
        false=single_token(tokenizer, NO),
        max_length=decoder.longest(checkpoint, options.max_length, MAX_LENGTH),
        pad_token_id=pad_token_id(checkpoint, tokenizer),
        activation="sigmoid",
        weight=(lambda: checkpoint.tensor(CLASSIFIER)[0]) if classifier else None,
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

    def encode(query: str, document: str) -> tuple[list[int], list[int]]:
        return [], reference_token_ids(tokenizer, query, document, torch.scoring.max_length)

    if not _is_classifier(torch.checkpoint):
        return Reference(encode=encode, score=answer_reference(torch, *tokenizer.convert_tokens_to_ids([YES, NO])))
    model = torch.load("AutoModelForSequenceClassification")

    def score(query_ids: list[int], ids: list[int]) -> list[float]:
        return [float(model(input_ids=torch.torch.tensor([ids])).logits[0, 0])]

    return Reference(encode=encode, score=score)


def reference_token_ids(tokenizer: Any, query: str, document: str, max_length: int) -> list[int]:
    """Return the model card's prompt, from a transformers tokenizer."""
    prefix = tokenizer.encode(PREFIX, add_special_tokens=False)
    suffix = tokenizer.encode(SUFFIX, add_special_tokens=False)
    body = tokenizer(
        BODY.format(instruction=INSTRUCTION, query=query, document=document),
        add_special_tokens=False,
        truncation="longest_first",
        max_length=max_length - len(prefix) - len(suffix),
    )
    return [*prefix, *body["input_ids"], *suffix]


def _is_classifier(checkpoint: Checkpoint) -> bool:
    return CLASSIFIER in checkpoint.tensors


FAMILY = Family(
    name="qwen3-reranker",
    description="yes/no causal language model, instruction-aware (Qwen3-Reranker 0.6B, 4B, 8B)",
    model_types=sorted(DECODERS),
    options=frozenset(),
    recognises=recognises,
    plan=plan,
    reference=reference,
)
