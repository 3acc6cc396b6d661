"""zerank-2 and other causal rerankers of sentence-transformers: the logit of an answer token, or a difference of two.

The prompt is the checkpoint's chat template with the pair as sentence-transformers passes it, in the roles "query" and
"document". If a template does not know these roles, the query is the system message and the document the user message,
as on zerank's card. zerank's probability is sigmoid(logit / 5), even if its configuration says otherwise.
"""

from typing import Any

from tokenizers import Tokenizer

from onnxrank.errors import CheckpointError
from onnxrank.export.architectures import DECODERS, decoder
from onnxrank.export.checkpoint.chat_template import PAIR_ROLES, render, template_of
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.modules import read_modules, score_activation, st_config
from onnxrank.export.checkpoint.tokenizer import pad_token_id
from onnxrank.export.families import mxbai_rerank, qwen3_reranker
from onnxrank.export.families.answer_logits import answer_plan, answer_reference
from onnxrank.export.families.family import Family, Plan, Reference, Torch
from onnxrank.export.families.pair_prompt import templated
from onnxrank.export.options import FamilyOptions

MAX_LENGTH = 8192
# Sources: the model card (sigmoid of a fifth), and 1_LogitScore/config.json (the token `Yes`, 9454).
ZERANK_SCALE = 0.2


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether modules.json ends with LogitScore, and the prompt is not that of a family with code of its own."""
    others = (qwen3_reranker, mxbai_rerank)
    return could_be(checkpoint) and not any(family.recognises(checkpoint) for family in others)


def could_be(checkpoint: Checkpoint) -> bool:
    """Whether modules.json names the answer's tokens."""
    return "LogitScore" in [module.kind for module in read_modules(checkpoint)]


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    true, false = _answers(checkpoint)
    return answer_plan(
        checkpoint,
        templated(template_of(checkpoint), tokenizer),
        true=true,
        false=false,
        max_length=decoder.longest(checkpoint, options.max_length, _declared_length(checkpoint)),
        pad_token_id=pad_token_id(checkpoint, tokenizer),
        activation=options.activation or ("sigmoid" if false is None else score_activation(checkpoint)),
        logit_scale=ZERANK_SCALE if false is None else 1.0,
    )


def reference(torch: Torch) -> Reference:
    """Encode as sentence-transformers does: the rendered text is one sequence; if it is too long, the end of the
    template replaces its last tokens."""
    length = torch.scoring.max_length

    def tokens(text: str) -> list[int]:
        ids: list[int] = torch.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def encode(query: str, document: str) -> tuple[list[int], list[int]]:
        def chat(messages: Any, **arguments: Any) -> str:
            rendered: str = torch.tokenizer.apply_chat_template(messages, tokenize=False, **arguments)
            return rendered

        ids = tokens(render(torch.checkpoint, query, document, chat=chat))
        suffix = tokens(render(torch.checkpoint, query, "\ue000", chat=chat).split("\ue000")[1])
        return [], ids if len(ids) <= length else [*ids[: length - len(suffix)], *suffix]

    return answer_reference(torch, encode, *_answers(torch.checkpoint))


def _answers(checkpoint: Checkpoint) -> tuple[int, int | None]:
    for module in read_modules(checkpoint):
        if module.kind == "LogitScore":
            if not isinstance(module.config.get("true_token_id"), int):
                raise CheckpointError(
                    f"{checkpoint.folder / module.folder}/config.json names no true_token_id; "
                    "download the checkpoint again."
                )
            return module.config["true_token_id"], module.config.get("false_token_id")
    raise CheckpointError(
        f"{checkpoint.folder}/modules.json names no LogitScore module, so the answer's token is unknown; "
        "use the checkpoint's current revision."
    )


def _declared_length(checkpoint: Checkpoint) -> int:
    return int(st_config(checkpoint, "sentence_bert_config.json").get("max_seq_length") or MAX_LENGTH)


FAMILY = Family(
    name="zerank",
    description=f"logit of an answer token after a {' / '.join(PAIR_ROLES)} chat (zerank-2, LogitScore checkpoints)",
    model_types=sorted(DECODERS),
    options=frozenset({"max_length", "activation"}),
    recognises=recognises,
    could_be=could_be,
    plan=plan,
    reference=reference,
)
