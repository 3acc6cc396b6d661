"""Qwen3-Reranker: a causal language model that answers "yes" or "no".

Prompt and scoring follow the transformers recipe of the model card: the prefix, the body and the suffix are
tokenized one by one, the body is cut from the right, and the score is softmax over (no, yes) at the last position,
which is sigmoid(logit(yes) - logit(no)). Conversions to Qwen3ForSequenceClassification hold that difference of two
rows as their score.weight, and are read as such.
"""

from typing import Any

from tokenizers import Tokenizer

from onnxrank.artifact.manifest import Prompt, VocabularyReadout
from onnxrank.export.architectures import decoder
from onnxrank.export.architectures.qwen3 import output_weight_name
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.tokenizer import fixed_token_ids, pad_token_id, single_token
from onnxrank.export.families.family import Family, Plan, Reference, Torch, scoring
from onnxrank.export.graph.heads import Read, linear_score
from onnxrank.export.options import FamilyOptions

PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
BODY = "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}"
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
YES, NO = "yes", "no"
MAX_LENGTH = 8192


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint brings the family's own chat template."""
    template = checkpoint.folder / "chat_template.jinja"
    return template.is_file() and "Judge whether the Document meets" in template.read_text(encoding="utf-8")


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    max_length = decoder.longest(checkpoint, options.max_length, MAX_LENGTH)
    yes, no = single_token(tokenizer, YES), single_token(tokenizer, NO)
    head = linear_score(checkpoint.config["hidden_size"], _weight(checkpoint, yes, no))
    recipe = scoring(
        prompt=prompt(tokenizer),
        max_length=max_length,
        pad_token_id=pad_token_id(checkpoint, tokenizer),
        activation="sigmoid",
        readout=VocabularyReadout(true_token_id=yes, false_token_id=no),
        kv_cache=decoder.cache(checkpoint),
    )
    return Plan(scoring=recipe, graphs=decoder.scoring_graphs(checkpoint, max_length, head))


def prompt(tokenizer: Tokenizer) -> Prompt:
    """The body is cut right after `<Query>:` and `<Document>:`, where the tokenizer never merges: what follows
    starts with a space."""
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
    classifier = _is_classifier(torch.checkpoint)
    model = torch.load("AutoModelForSequenceClassification" if classifier else "AutoModelForCausalLM")

    def encode(query: str, document: str) -> tuple[list[int], list[int]]:
        return [], reference_token_ids(tokenizer, query, document, torch.scoring.max_length)

    def score(query_ids: list[int], ids: list[int]) -> list[float]:
        input_ids = torch.torch.tensor([ids])
        if classifier:
            return [float(model(input_ids=input_ids).logits[0, 0])]
        logits: Any = model(input_ids=input_ids, logits_to_keep=1).logits[0, -1].float()
        yes, no = tokenizer.convert_tokens_to_ids([YES, NO])
        return [float(logits[yes] - logits[no])]

    return Reference(encode=encode, score=score)


def reference_token_ids(tokenizer: Any, query: str, document: str, max_length: int) -> list[int]:
    """The card's prompt, with a tokenizer of transformers."""
    prefix = tokenizer.encode(PREFIX, add_special_tokens=False)
    suffix = tokenizer.encode(SUFFIX, add_special_tokens=False)
    body = tokenizer(
        BODY.format(instruction=INSTRUCTION, query=query, document=document),
        add_special_tokens=False,
        truncation="longest_first",
        max_length=max_length - len(prefix) - len(suffix),
    )
    return [*prefix, *body["input_ids"], *suffix]


def _weight(checkpoint: Checkpoint, yes: int, no: int) -> Read:
    """The difference of two rows of the vocabulary projection, which has no bias."""
    if _is_classifier(checkpoint):
        checkpoint.require("score.weight", (1, checkpoint.config["hidden_size"]))
        return lambda: checkpoint.tensor("score.weight")[0]

    def difference() -> Any:
        rows = checkpoint.rows(output_weight_name(checkpoint), [yes, no])
        return rows[0] - rows[1]

    return difference


def _is_classifier(checkpoint: Checkpoint) -> bool:
    return "score.weight" in checkpoint.tensors


FAMILY = Family(
    name="qwen3-reranker",
    description="yes/no causal language model, instruction-aware (Qwen3-Reranker 0.6B, 4B, 8B)",
    model_types=["qwen3"],
    options=frozenset(),
    recognises=recognises,
    plan=plan,
    reference=reference,
)
