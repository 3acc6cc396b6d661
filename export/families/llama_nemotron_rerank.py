"""llama-nemotron-rerank: Llama layers with bidirectional attention, the mean over all tokens, a linear score.

Source: LlamaBidirectionalForSequenceClassification of NVIDIA-NeMo/Automodel
(nemo_automodel/components/models/llama_bidirectional/model.py), which is the checkpoint's own code, and the prompt of
its model card. A pair is encoded as one text and cut at its end. The logit is divided by config.json's temperature.
"""

from dataclasses import replace
from functools import partial
from typing import Any

from tokenizers import Tokenizer

from onnxrank.errors import UnsupportedError
from onnxrank.export.architectures import encoder
from onnxrank.export.architectures.architecture import EncoderBody, Graphs
from onnxrank.export.architectures.decoder import within
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.tokenizer import pad_token_id, template_token_ids
from onnxrank.export.families.family import Family, Plan, Reference, Torch, scoring
from onnxrank.export.families.pair_prompt import templated
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.encoder_inputs import mean
from onnxrank.export.graph.heads import Outputs, linear_score
from onnxrank.export.options import FamilyOptions

MODEL_TYPE = "llama_bidirec"
TEMPLATE = "question:{query} \n \n passage:{document}"
MAX_LENGTH = 8192
SCORE = "score.weight"


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint has a score head; embedding models have the same body."""
    return checkpoint.config.get("model_type") == MODEL_TYPE and SCORE in checkpoint.tensors


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    if (pooling := checkpoint.config.get("pooling", "avg")) != "avg":
        raise UnsupportedError(f"config.json sets pooling to {pooling!r:.60}, and only 'avg' is supported.")
    checkpoint.require(SCORE, (1, int(checkpoint.config["hidden_size"])))
    max_length = within(encoder.positions(checkpoint), options.max_length, MAX_LENGTH)
    first, last = template_token_ids(tokenizer)
    recipe = scoring(
        prompt=replace(templated(TEMPLATE, tokenizer), prefix_token_ids=first, suffix_token_ids=last),
        max_length=max_length,
        pad_token_id=pad_token_id(checkpoint, tokenizer),
        activation=options.activation or "identity",
    )
    body = EncoderBody(layers=int(checkpoint.config["num_hidden_layers"]), max_length=max_length)
    head = partial(_head, checkpoint)
    return Plan(scoring=recipe, graphs=Graphs(padded=partial(encoder.build, checkpoint, body, head)))


def reference(torch: Torch) -> Reference:
    """A transcription of the source, because the exporter runs no code of a checkpoint."""
    own = {"model_type", "auto_map", "architectures"}
    fields = {name: value for name, value in torch.checkpoint.config.items() if name not in own}
    model = torch.load("LlamaModel", config=torch.transformers.LlamaConfig(**fields))
    weight = torch.tensor(torch.checkpoint, SCORE)[0]

    def encode(query: str, document: str) -> tuple[list[int], list[int]]:
        text = TEMPLATE.format(query=query, document=document)
        ids: list[int] = torch.tokenizer(text, truncation=True, max_length=torch.scoring.max_length)["input_ids"]
        return [], ids

    def score(query_ids: list[int], ids: list[int]) -> Any:
        # The additive mask: zeros instead of the causal mask.
        mask = torch.torch.zeros(1, 1, len(ids), len(ids))
        hidden = model(input_ids=torch.torch.tensor([ids]), attention_mask=mask).last_hidden_state[0].float()
        return hidden.mean(0) @ weight / _temperature(torch.checkpoint)

    return Reference(encode=encode, score=score, model=model)


def _head(checkpoint: Checkpoint, b: GraphBuilder, hidden: encoder.Hidden) -> Outputs:
    score = linear_score(
        int(checkpoint.config["hidden_size"]), lambda: checkpoint.tensor(SCORE)[0] / _temperature(checkpoint)
    )
    return score(b, mean(b, hidden.inputs, hidden.normed), "batch_size")


def _temperature(checkpoint: Checkpoint) -> float:
    return float(checkpoint.config.get("temperature", 1.0))


FAMILY = Family(
    name="llama-nemotron-rerank",
    description="bidirectional Llama body, mean of all tokens, linear head (llama-nemotron-rerank-1b-v2)",
    model_types=[MODEL_TYPE],
    options=frozenset({"max_length", "activation"}),
    recognises=recognises,
    could_be=recognises,
    plan=plan,
    reference=reference,
)
