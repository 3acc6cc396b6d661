"""Shared by families whose score is the logit of an answer after the prompt: "yes" minus "no", "1" minus "0"."""

from collections.abc import Callable
from typing import Any

from onnxrank.artifact.manifest import Activation, Prompt, VocabularyReadout
from onnxrank.export.architectures import decoder
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.families.family import Plan, Reference, Torch, scoring
from onnxrank.export.graph.heads import Read, linear_score


def answer_plan(
    checkpoint: Checkpoint,
    prompt: Prompt,
    *,
    true: int,
    false: int | None,
    max_length: int,
    pad_token_id: int,
    activation: Activation,
    logit_scale: float = 1.0,
    weight: Read | None = None,
) -> Plan:
    """Return the plan of a model whose logit is logit(true) - logit(false), or logit(true) if false is None.

    weight: the vector [hidden] whose product with the hidden state is this logit, if it does not come from the
    vocabulary projection.
    """
    recipe = scoring(
        prompt=prompt,
        max_length=max_length,
        pad_token_id=pad_token_id,
        activation=activation,
        logit_scale=logit_scale,
        readout=VocabularyReadout(true_token_id=true, false_token_id=false),
        kv_cache=decoder.cache(checkpoint),
    )
    head = linear_score(checkpoint.config["hidden_size"], weight or decoder.answer_weight(checkpoint, true, false))
    return Plan(scoring=recipe, graphs=decoder.scoring_graphs(checkpoint, max_length, head))


def answer_reference(
    torch: Torch, encode: Callable[[str, str], tuple[list[int], list[int]]], true: int, false: int | None
) -> Reference:
    """Return a reference that computes this score with transformers' causal language model."""
    model = torch.load("AutoModelForCausalLM")

    def score(query_ids: list[int], ids: list[int]) -> Any:
        logits = model(input_ids=torch.torch.tensor([ids]), logits_to_keep=1).logits[0, -1].float()
        return logits[true] - (0 if false is None else logits[false])

    return Reference(encode=encode, score=score, model=model)
