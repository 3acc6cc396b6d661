"""Qwen3-Reranker: a causal language model that answers "yes" or "no".

Prompt and scoring follow the transformers recipe of the model card: the prefix, the body and the suffix are
tokenized one by one, the body is cut from the right, and the score is softmax over (no, yes) at the last position,
which is sigmoid(logit(yes) - logit(no)).
"""

from typing import Any

from tokenizers import Tokenizer

from onnxrank.errors import UnsupportedError
from onnxrank.export.architectures.qwen3 import output_weight_name
from onnxrank.export.checkpoint import Checkpoint
from onnxrank.export.family import Family, Head
from onnxrank.manifest import Prompt, VocabularyReadout

PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
BODY = "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}"
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
YES, NO = "yes", "no"


def prompt(tokenizer: Tokenizer) -> Prompt:
    """The body is cut right after `<Query>:` and `<Document>:`, where the tokenizer never merges: what follows
    starts with a space."""
    return Prompt(
        prefix_token_ids=_ids(tokenizer, PREFIX),
        instruction="<Instruct>: {instruction}\n<Query>:",
        query=" {query}\n<Document>:",
        document=" {document}",
        suffix_token_ids=_ids(tokenizer, SUFFIX),
        default_instruction=INSTRUCTION,
    )


def head(checkpoint: Checkpoint, tokenizer: Tokenizer) -> Head:
    """The difference of two rows of the vocabulary projection, which has no bias."""
    answers = [_single(tokenizer, YES), _single(tokenizer, NO)]

    def weight() -> Any:
        yes, no = checkpoint.rows(output_weight_name(checkpoint), answers)
        return yes - no

    return Head(weight=weight, readout=VocabularyReadout(true_token_id=answers[0], false_token_id=answers[1]))


def reference_token_ids(tokenizer: Any, query: str, document: str, max_length: int) -> list[int]:
    prefix = tokenizer.encode(PREFIX, add_special_tokens=False)
    suffix = tokenizer.encode(SUFFIX, add_special_tokens=False)
    body = tokenizer(
        BODY.format(instruction=INSTRUCTION, query=query, document=document),
        add_special_tokens=False,
        truncation="longest_first",
        max_length=max_length - len(prefix) - len(suffix),
    )
    return [*prefix, *body["input_ids"], *suffix]


def reference_logit(model: Any, tokenizer: Any, token_ids: Any) -> float:
    logits = model(input_ids=token_ids, logits_to_keep=1).logits[0, -1].float()
    yes, no = tokenizer.convert_tokens_to_ids([YES, NO])
    return float(logits[yes] - logits[no])


def _ids(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False).ids)


def _single(tokenizer: Tokenizer, word: str) -> int:
    ids = _ids(tokenizer, word)
    if len(ids) != 1:
        raise UnsupportedError(
            f"the tokenizer splits {word!r} into {len(ids)} tokens, and a yes/no reranker needs one; "
            "use the tokenizer that the model was trained with."
        )
    return ids[0]


FAMILY = Family(
    name="qwen3-reranker",
    description="yes/no causal language model, instruction-aware (Qwen3-Reranker 0.6B, 4B, 8B)",
    model_types=["qwen3"],
    max_length=8192,
    activation="sigmoid",
    prompt=prompt,
    head=head,
    reference_token_ids=reference_token_ids,
    reference_logit=reference_logit,
)
