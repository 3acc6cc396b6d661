"""mmBERT 2D-matryoshka reranker: a ModernBERT encoder with a small head for every exit layer and width.

Source: vllm-project/semantic-router, src/training/model_embeddings/mmbert_32k/reranker_model.py. A head is
Linear -> GELU -> Linear on the first `width` dimensions of the first token's hidden state. The encoder's final norm is
applied at exits before the last layer. At the last layer it is applied only if the checkpoint's representation_contract
says so.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import onnx_ir as ir
from tokenizers import Tokenizer

from onnxrank.artifact.manifest import Matryoshka
from onnxrank.errors import CheckpointError, InputError, UnsupportedError
from onnxrank.export.architectures import encoder
from onnxrank.export.architectures.architecture import EncoderBody, Graphs
from onnxrank.export.architectures.decoder import within
from onnxrank.export.checkpoint.checkpoint import LEGACY_HEADS, Checkpoint, read_json
from onnxrank.export.checkpoint.pickles import as_safetensors
from onnxrank.export.checkpoint.tokenizer import pad_token_id
from onnxrank.export.families.family import Family, Plan, Reference, Torch, scoring
from onnxrank.export.families.pair_prompt import joined
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.encoder_inputs import first_token
from onnxrank.export.graph.heads import EXACT, Outputs, logits
from onnxrank.export.graph.weights import Weights
from onnxrank.export.options import FamilyOptions

HEADS, SETTINGS = "classification_heads.safetensors", "matryoshka_config.json"
MAX_LENGTH = 32768
CONTRACT = {
    "version": (1,),
    "intermediate_normalization": ("final_norm",),
    "final_normalization": ("final_norm", "none"),
    "pooling": ("cls",),
    "head_dtype": ("float32",),
}


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint has a file of heads beside the encoder."""
    return any((checkpoint.folder / name).is_file() for name in (HEADS, LEGACY_HEADS))


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    heads, layers, dims = _heads(checkpoint, options)
    max_length = within(encoder.positions(checkpoint), options.max_length, MAX_LENGTH)

    def graph(exit_: int) -> ir.Model:
        head = partial(_head, heads, exit_, dims, _normed(checkpoint, exit_))
        return encoder.build(checkpoint, EncoderBody(layers=exit_, max_length=max_length), head)

    recipe = scoring(
        prompt=joined(tokenizer),
        matryoshka=Matryoshka(layers=tuple(layers), dims=tuple(dims)),
        max_length=max_length,
        pad_token_id=pad_token_id(checkpoint, tokenizer),
        activation="sigmoid",
    )
    deepest, *others = layers
    graphs = Graphs(padded=partial(graph, deepest), exits={exit_: partial(graph, exit_) for exit_ in others})
    return Plan(scoring=recipe, graphs=graphs)


def reference(torch: Torch) -> Reference:
    """A transcription of the source. Hooks collect the layers' states, because hidden_states[-1] is before the final
    norm in transformers 4 and after it in 5."""
    heads, layers, dims = _heads(torch.checkpoint, torch.options)
    model = torch.load("AutoModel")
    states: dict[int, Any] = {}
    for i, layer in enumerate(model.layers):
        layer.register_forward_hook(partial(_keep, states, i + 1))

    def encode(query: str, document: str) -> tuple[list[int], list[int]]:
        limits = {"truncation": True, "max_length": torch.scoring.max_length}
        ids: list[int] = torch.tokenizer([[query, document]], **limits)["input_ids"][0]
        return [], ids

    def score(query_ids: list[int], ids: list[int]) -> Any:
        model(input_ids=torch.torch.tensor([ids]))
        found = []
        for exit_ in layers:
            state = states[exit_].float()
            pooled = (model.final_norm(state) if _normed(torch.checkpoint, exit_) else state)[0, 0]
            found += [_reference_head(torch, heads, f"{exit_}.{dim}", pooled[:dim]) for dim in dims]
        return torch.torch.cat(found)

    return Reference(encode=encode, score=score, model=model)


def _keep(states: dict[int, Any], index: int, module: Any, inputs: Any, output: Any) -> None:
    # In transformers 4 a layer returns a tuple.
    states[index] = output[0] if isinstance(output, tuple) else output


def _reference_head(torch: Torch, heads: Checkpoint, name: str, pooled: Any) -> Any:
    linear = torch.torch.nn.functional.linear
    first, first_bias, last, last_bias = (
        torch.tensor(heads, f"{name}.{part}") for part in ("0.weight", "0.bias", "3.weight", "3.bias")
    )
    return linear(torch.torch.nn.functional.gelu(linear(pooled, first, first_bias)), last, last_bias)


def _head(
    heads: Checkpoint, exit_: int, dims: Sequence[int], normed: bool, b: GraphBuilder, hidden: encoder.Hidden
) -> Outputs:
    pooled = first_token(b, hidden.inputs, hidden.normed if normed else hidden.raw)
    weights = Weights(b, heads)
    columns = []
    for dim in dims:
        name = f"{exit_}.{dim}"
        first, end, axis = b.constant([0], "axis_0"), b.constant([dim], f"dim_{dim}"), b.constant([1], "axis_1")
        cut = b.op("Slice", pooled, first, end, axis)
        raised = weights.linear(f"{name}.0", cut, dim // 2, dim, bias=False, as_name=f"{EXACT}{name}.0")
        bias = weights.tensor(f"{name}.0.bias", (dim // 2,), as_name=f"{EXACT}{name}.0.bias")
        (raised,) = b.contrib("BiasGelu", raised, bias, outputs=[f"{name}.gelu"])
        columns.append(weights.linear(f"{name}.3", raised, 1, dim // 2, bias=True, as_name=f"{EXACT}{name}.3"))
    return logits(b.op("Concat", *columns, axis=1, name="logits"), columns=len(dims))


@cache
def _heads_file(folder: Path) -> Path:
    if (folder / HEADS).is_file():
        return folder / HEADS
    if (folder / LEGACY_HEADS).is_file():
        return as_safetensors(folder / LEGACY_HEADS)
    raise CheckpointError(f"{folder} has neither {HEADS} nor {LEGACY_HEADS}; download the checkpoint again.")


def _heads(checkpoint: Checkpoint, options: FamilyOptions) -> tuple[Checkpoint, list[int], list[int]]:
    """Return the heads' tensors, and the exits and widths to export, deepest and widest first."""
    heads = replace(checkpoint, tensors={}).with_file(_heads_file(checkpoint.folder))
    found = {tuple(map(int, name.split(".")[:2])) for name in heads.tensors if name.endswith(".3.weight")}
    layers = sorted({layer for layer, _ in found}, reverse=True)
    dims = sorted({dim for _, dim in found}, reverse=True)
    path = checkpoint.folder / SETTINGS
    if path.is_file() and (pooling := read_json(path).get("pooling_strategy", "cls")) != "cls":
        raise UnsupportedError(f"{path} sets pooling_strategy to {pooling!r:.60}, and only 'cls' is supported.")
    if not found or layers[0] > int(checkpoint.config["num_hidden_layers"]):
        raise CheckpointError(
            f"the heads of {checkpoint.folder} are for the layers {layers}, and config.json has "
            f"{checkpoint.config['num_hidden_layers']}; the two files are not of one model."
        )
    return heads, _chosen("layers", options.layers, layers), _chosen("dim", options.dim, dims)


def _chosen(option: str, wanted: int | None, choices: list[int]) -> list[int]:
    if wanted is None:
        return choices
    if wanted not in choices:
        raise InputError(
            f"--{option} is {wanted}, and this checkpoint has heads for {', '.join(map(str, choices))}; "
            "choose one of these."
        )
    return [wanted]


def _normed(checkpoint: Checkpoint, exit_: int) -> bool:
    """Whether the head of an exit reads the state after the encoder's final norm."""
    contract = checkpoint.config.get("representation_contract")
    if contract is not None:
        for name, value in contract.items():
            if value not in CONTRACT.get(name, ()):
                raise UnsupportedError(
                    f"config.json sets {name} of representation_contract to {value!r:.60}, which is not supported; "
                    "such a checkpoint cannot be exported yet."
                )
        if contract.get("final_normalization") == "final_norm":
            return True
    return exit_ < int(checkpoint.config["num_hidden_layers"])


FAMILY = Family(
    name="mmbert-rerank",
    description="ModernBERT with heads for several exit layers and widths (mmbert-rerank-32k-2d-matryoshka)",
    model_types=["modernbert"],
    options=frozenset({"max_length", "layers", "dim"}),
    recognises=recognises,
    could_be=recognises,
    plan=plan,
    reference=reference,
)
