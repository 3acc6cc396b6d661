"""Encoder cross-encoders: sequence classifiers of transformers with one label or two, and sentence-transformers' module
stacks. PyTorch traces architectures without a builder.

The tokenizer's own template joins the pair, the longer text is cut first, and the activation is the checkpoint's: by
sentence-transformers' rule a sigmoid, unless a checkpoint with one label says otherwise. Of two labels the logit is the
difference, and its sigmoid the softmax probability of the relevant one.
"""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from tokenizers import Tokenizer

from onnxrank.errors import CheckpointError, UnsupportedError
from onnxrank.export.architectures import DECODERS, ENCODERS, encoder
from onnxrank.export.architectures.architecture import EncoderBody, Graphs
from onnxrank.export.architectures.decoder import within
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.labels import scored_labels
from onnxrank.export.checkpoint.modules import Module, pooling, read_modules, score_activation
from onnxrank.export.checkpoint.tokenizer import declared_length, gives_token_types, pad_token_id, read_tokenizer
from onnxrank.export.families.evidence import is_classifier
from onnxrank.export.families.family import Family, Plan, Reference, Torch, scoring
from onnxrank.export.families.pair_prompt import joined
from onnxrank.export.graph import traced
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.encoder_inputs import POOLINGS, first_token
from onnxrank.export.graph.heads import EXACT, Outputs, linear_score, logits
from onnxrank.export.graph.modules import dense, dense_reference, layer_norm, layer_norm_reference
from onnxrank.export.graph.weights import Weights
from onnxrank.export.options import FamilyOptions


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether it is an encoder with a sequence classifier, or a module stack that ends in scores."""
    if modules := read_modules(checkpoint):
        return modules[-1].config.get("module_output_name") == "scores"
    # In transformers, encoders call their head `classifier`, and decoders, some of them reward models, `score`.
    return (
        FAMILY.takes(checkpoint.config.get("model_type"))
        and is_classifier(checkpoint)
        and any(name.startswith("classifier.") for name in checkpoint.tensors)
    )


def could_be(checkpoint: Checkpoint) -> bool:
    """Whether it is a sequence classifier or a module stack."""
    return bool(read_modules(checkpoint)) or is_classifier(checkpoint)


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    built = encoder.has_builder(checkpoint.config)
    positions = encoder.positions(checkpoint) if built else int(checkpoint.config.get("max_position_embeddings", 512))
    max_length = within(positions, options.max_length, _declared_length(checkpoint))
    modules = read_modules(checkpoint)
    labels = (0, None) if modules else scored_labels(checkpoint)
    recipe = scoring(
        prompt=joined(tokenizer),
        max_length=max_length,
        pad_token_id=pad_token_id(checkpoint, tokenizer),
        activation=options.activation or (score_activation(checkpoint) if labels[1] is None else "sigmoid"),
    )
    if not built:
        return Plan(scoring=recipe, graphs=Graphs(padded=partial(traced.classifier, checkpoint, labels)), traced=True)
    body = EncoderBody(layers=int(checkpoint.config["num_hidden_layers"]), max_length=max_length)
    head = partial(_stack_head, checkpoint, modules) if modules else _head(checkpoint)
    typed = gives_token_types(checkpoint, tokenizer)
    return Plan(scoring=recipe, graphs=Graphs(padded=partial(encoder.build, checkpoint, body, head, token_types=typed)))


def reference(torch: Torch) -> Reference:
    modules = read_modules(torch.checkpoint)
    model = torch.load("AutoModel" if modules else "AutoModelForSequenceClassification")
    read = _stack_reference(torch, modules) if modules else None
    relevant, other = (0, None) if modules else scored_labels(torch.checkpoint)
    typed = _typed(torch, model)

    def encode(query: str, document: str) -> tuple[list[int], list[int]]:
        # A list of pairs, because the tokenizer ignores an empty second text outside a list.
        limits = {"truncation": True, "max_length": torch.scoring.max_length}
        ids: list[int] = torch.tokenizer([[query, document]], **limits)["input_ids"][0]
        return [], ids

    def score(query_ids: list[int], ids: list[int]) -> Any:
        feeds: dict[str, Any] = {"input_ids": torch.torch.tensor([ids])}
        if typed:
            feeds["token_type_ids"] = torch.torch.tensor([_types(torch, ids)])
        output = model(**feeds)
        logits = (read(output.last_hidden_state.float()) if read else output.logits)[0]
        return logits[relevant] if other is None else logits[relevant] - logits[other]

    return Reference(encode=encode, score=score, model=model)


def _typed(torch: Torch, model: Any) -> bool:
    """Return whether the tokenizer gives the model token types other than 0. Raises UnsupportedError if the graph would
    get others."""
    if "token_type_ids" not in signature(model.forward).parameters:
        return False
    pair = torch.tokenizer([["a", "b"]])
    types = pair.get("token_type_ids", [[0]])[0]
    planned = gives_token_types(torch.checkpoint, read_tokenizer(torch.folder))
    if any(types) and types != _types(torch, pair["input_ids"][0]):
        raise UnsupportedError(
            f"the tokenizer gives a pair the token types {types}, and only 0 and then 1 are supported"
        )
    if encoder.has_builder(torch.checkpoint.config) and any(types) != planned:
        raise UnsupportedError(
            f"transformers {torch.transformers.__version__} gives {'' if any(types) else 'no '}token_type_ids; say so "
            "with model_input_names in tokenizer_config.json"
        )
    return any(types)


def _types(torch: Torch, ids: list[int]) -> list[int]:
    """Return a pair's token types: the first text ends with the first separator."""
    prompt = torch.scoring.prompt
    assert prompt
    separator = list(prompt.separator_token_ids)
    ends = [i + len(separator) for i in range(len(ids)) if ids[i : i + len(separator)] == separator]
    end = ends[0] if ends else len(ids)
    return [0] * end + [1] * (len(ids) - end)


def _head(checkpoint: Checkpoint) -> encoder.Head:
    return partial(CLASSIFIERS[checkpoint.config["model_type"]], checkpoint)


def _tanh(dense: str, last: str, checkpoint: Checkpoint, b: GraphBuilder, hidden: encoder.Hidden) -> Outputs:
    width = int(checkpoint.config["hidden_size"])
    weights = Weights(b, checkpoint)
    pooled = first_token(b, hidden.inputs, hidden.normed)
    x = weights.linear(dense, pooled, width, width, bias=True, as_name=f"{EXACT}dense")
    return _last(checkpoint, last, b, b.op("Tanh", x, name="dense.tanh"))


def _modernbert(checkpoint: Checkpoint, b: GraphBuilder, hidden: encoder.Hidden) -> Outputs:
    config, width = checkpoint.config, int(checkpoint.config["hidden_size"])
    weights = Weights(b, checkpoint)
    kind = config.get("classifier_pooling", "cls")
    if kind not in ("cls", "mean") or config.get("classifier_activation", "gelu") != "gelu":
        raise UnsupportedError(
            f"config.json sets classifier_pooling to {kind!r:.60} and classifier_activation to "
            f"{config.get('classifier_activation')!r:.60}, and only cls or mean with gelu are supported."
        )
    pooled = POOLINGS[kind](b, hidden.inputs, hidden.normed)
    biased = bool(config.get("classifier_bias", False))
    x = weights.linear("head.dense", pooled, width, width, bias=biased, as_name=f"{EXACT}dense")
    (x,) = b.contrib("Gelu", x, outputs=["dense.gelu"])
    shift = weights.tensor("head.norm.bias", (width,)) if config.get("norm_bias", False) else None
    scale = weights.tensor("head.norm.weight", (width,))
    epsilon = float(config.get("norm_eps", 1e-5))
    x = b.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon, stash_type=1, name="head.normed")
    return _last(checkpoint, "classifier", b, x)


CLASSIFIERS: Mapping[str, Callable[[Checkpoint, GraphBuilder, encoder.Hidden], Outputs]] = {
    "bert": partial(_tanh, "bert.pooler.dense", "classifier"),
    "roberta": partial(_tanh, "classifier.dense", "classifier.out_proj"),
    "xlm-roberta": partial(_tanh, "classifier.dense", "classifier.out_proj"),
    "modernbert": _modernbert,
}


def _last(checkpoint: Checkpoint, name: str, b: GraphBuilder, x: ir.Value) -> Outputs:
    width = int(checkpoint.config["hidden_size"])
    relevant, other = scored_labels(checkpoint)
    if other is None:
        return logits(Weights(b, checkpoint).linear(name, x, 1, width, bias=True, as_name=f"{EXACT}out"))
    weight, bias = f"{name}.weight", f"{name}.bias"
    checkpoint.require(weight, (2, width))
    checkpoint.require(bias, (2,))

    def difference(name: str) -> NDArray[np.float32]:
        values = checkpoint.tensor(name)
        found: NDArray[np.float32] = values[relevant] - values[other]
        return found

    return linear_score(width, lambda: difference(weight), lambda: difference(bias)[None])(b, x, "batch_size")


def _stack_head(checkpoint: Checkpoint, modules: list[Module], b: GraphBuilder, hidden: encoder.Hidden) -> Outputs:
    """Append the Pooling module and the Dense and LayerNorm modules after it; the last one's output is the scores."""
    x = hidden.normed
    for i, module in enumerate(modules[1:], 1):
        if module.kind == "Pooling":
            x = POOLINGS[pooling(module)](b, hidden.inputs, x)
        elif module.kind == "Dense":
            x = dense(b, checkpoint, module, x, f"{EXACT}{i}")
        else:
            x = layer_norm(b, checkpoint, module, x, f"{EXACT}{i}")
    return logits(x)


REFERENCE_POOLINGS: Mapping[str, Callable[[Any], Any]] = {
    "cls": lambda x: x[:, 0],
    "mean": lambda x: x.mean(1),
    "last": lambda x: x[:, -1],
}


def _stack_reference(torch: Torch, modules: list[Module]) -> Callable[[Any], Any]:
    steps: list[Callable[[Any], Any]] = []
    for module in modules[1:]:
        if module.kind == "Pooling":
            steps.append(REFERENCE_POOLINGS[pooling(module)])
        elif module.kind == "Dense":
            steps.append(dense_reference(torch.torch, torch.checkpoint, module))
        else:
            steps.append(layer_norm_reference(torch.torch, torch.checkpoint, module))

    def run(x: Any) -> Any:
        for step in steps:
            x = step(x)
        return x

    return run


def _declared_length(checkpoint: Checkpoint) -> int:
    declared = declared_length(checkpoint)
    if declared is None and not encoder.has_builder(checkpoint.config):
        raise CheckpointError(
            f"{checkpoint.folder}/tokenizer_config.json has no model_max_length; give it with --max-length."
        )
    return declared or encoder.positions(checkpoint)


FAMILY = Family(
    name="cross-encoder",
    description="encoder with one score per pair (BERT, XLM-RoBERTa, ModernBERT, module stacks; others traced)",
    model_types=[],
    never=frozenset({*DECODERS, *ENCODERS} - set(CLASSIFIERS)),
    options=frozenset({"max_length", "activation"}),
    recognises=recognises,
    could_be=could_be,
    plan=plan,
    reference=reference,
)
