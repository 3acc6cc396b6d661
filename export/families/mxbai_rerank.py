"""mxbai-rerank v2: a Qwen2 language model that answers "1" or "0".

Source: mxbai_rerank/mxbai_rerank_v2.py of mixedbread-ai/mxbai-rerank at 8e709dc. The query's line, the document's line
and the texts around them are tokenized separately. The package's max_length counts only these two lines, and the query
is cut to three quarters of it. The score is logit(1) - logit(0) at the last position. An instruction would be a line
before the query; the package's default is none.
"""

from typing import Any

from tokenizers import Tokenizer

from onnxrank.artifact.manifest import Prompt
from onnxrank.export.architectures import DECODERS, decoder
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.tokenizer import fixed_token_ids, pad_token_id, single_token
from onnxrank.export.families.answer_logits import answer_plan, answer_reference
from onnxrank.export.families.evidence import is_classifier, prompts_with, trained_from
from onnxrank.export.families.family import Family, Plan, Reference, Torch
from onnxrank.export.options import FamilyOptions

PREFIX = (
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n"
)
QUERY, DOCUMENT = "query: {query}", "document: {document}"
SEPARATOR = "\n"
TASK = (
    "You are a search relevance expert who evaluates how well documents match search queries. "
    "For each query-document pair, carefully analyze the semantic relationship between them, "
    "then provide your binary relevance judgment (0 for not relevant, 1 for relevant).\nRelevance:"
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n"
RELEVANT, IRRELEVANT = "1", "0"
MAX_LENGTH = 8192


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether its chat template has the prompt's words, or it was trained from an mxbai-rerank v2; its other files look
    like those of any Qwen2."""
    return prompts_with("You are a search relevance expert who evaluates", checkpoint) or trained_from(
        r"mixedbread-ai/mxbai-rerank-\w+-v2", checkpoint
    )


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    fixed = sum(len(fixed_token_ids(tokenizer, text)) for text in (PREFIX, SEPARATOR, TASK, SUFFIX))
    return answer_plan(
        checkpoint,
        prompt(tokenizer),
        true=single_token(tokenizer, RELEVANT),
        false=single_token(tokenizer, IRRELEVANT),
        max_length=decoder.longest(checkpoint, options.max_length, MAX_LENGTH + fixed),
        pad_token_id=pad_token_id(checkpoint, tokenizer),
        activation=options.activation or "identity",
    )


def prompt(tokenizer: Tokenizer) -> Prompt:
    """Return the prompt; a separator follows the query and the document."""
    separator, after = fixed_token_ids(tokenizer, SEPARATOR), (TASK, SUFFIX)
    return Prompt(
        prefix_token_ids=fixed_token_ids(tokenizer, PREFIX),
        instruction="",
        query=QUERY,
        separator_token_ids=separator,
        document=DOCUMENT,
        suffix_token_ids=separator + tuple(id_ for text in after for id_ in fixed_token_ids(tokenizer, text)),
        default_instruction=None,
        truncation="document",
        document_template=None,
    )


def reference(torch: Torch) -> Reference:
    tokenizer = torch.tokenizer
    relevant, irrelevant = tokenizer.convert_tokens_to_ids([RELEVANT, IRRELEVANT])

    def encode(query: str, document: str) -> tuple[list[int], list[int]]:
        return [], reference_token_ids(tokenizer, query, document, torch.scoring.max_length)

    return answer_reference(torch, encode, relevant, irrelevant)


def reference_token_ids(tokenizer: Any, query: str, document: str, max_length: int) -> list[int]:
    """Return the package's prompt, from a transformers tokenizer; max_length counts the whole prompt."""

    def tokens(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    separator = tokens(SEPARATOR)
    after = [*separator, *tokens(TASK), *tokens(SUFFIX)]
    room = max_length - len(tokens(PREFIX)) - len(after)
    first = tokens(QUERY.format(query=query))[: room * 3 // 4]
    answered = [*separator, *tokens(DOCUMENT.format(document=document))][: room - len(first)]
    return [*tokens(PREFIX), *first, *answered, *after]


FAMILY = Family(
    name="mxbai-rerank",
    description="causal language model that answers 1 or 0 (mxbai-rerank-base-v2, large-v2)",
    model_types=sorted(DECODERS),
    options=frozenset({"max_length", "activation"}),
    recognises=recognises,
    could_be=lambda checkpoint: not is_classifier(checkpoint),
    plan=plan,
    reference=reference,
)
