"""Matrix v6 reranker: a Qwen3 body and a linear head, in float32, on the last token's hidden state.

The input format is documented only in the checkpoint's config.json. Options have to give what is missing there,
because a wrong guess would give plausible but wrong scores.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from onnxrank.artifact.hub import looks_like_repo_id, snapshot
from onnxrank.errors import CheckpointError, InputError, UnsupportedError
from onnxrank.export.architectures import DECODERS, ENCODERS, decoder
from onnxrank.export.checkpoint.checkpoint import Checkpoint, read_json
from onnxrank.export.checkpoint.tokenizer import pad_token_id
from onnxrank.export.families.family import Family, Plan, Reference, Torch, scoring
from onnxrank.export.families.pair_prompt import templated
from onnxrank.export.graph.heads import linear_score
from onnxrank.export.options import FamilyOptions

# Fields that config.json may use for an option, by the option's name.
NAMES = {
    "pair_template": ("pair_template", "template", "pair", "input_template"),
    "document_template": ("document_template", "record_template", "capability_template", "capability"),
    "max_length": ("max_len", "max_length", "max_seq_length"),
    "pooling": ("pooling",),
    "activation": ("activation",),
}
# Sections of config.json that may hold them; the top level may, too.
SECTIONS = ("input_format", "input", "format")
BODIES = ("backbone_config", "backbone", "text_config")
SLOTS = {"q": "query", "cap": "document", "capability": "document", "doc": "document", "text": "document"}
LAST = ("last", "last_token", "lasttoken", "last-token")
RAW = ("identity", "none", "raw", "linear")


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint has a body called `backbone` and one head with one row."""
    return "backbone.embed_tokens.weight" in checkpoint.tensors and len(_heads(checkpoint)) == 1


def could_be(checkpoint: Checkpoint) -> bool:
    """Whether it has a head besides a Qwen3 body."""
    return recognises(checkpoint) or (checkpoint.config.get("model_type") == "qwen3" and bool(_heads(checkpoint)))


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    fields = _input_format(checkpoint, options)
    body = with_body(checkpoint, options)
    max_length = decoder.within(int(body.config["max_position_embeddings"]), int(fields["max_length"]), MAX_LENGTH)
    weight, bias = _head(checkpoint, int(body.config["hidden_size"]))
    head = linear_score(
        int(body.config["hidden_size"]),
        lambda: checkpoint.tensor(weight)[0],
        (lambda: checkpoint.tensor(bias)) if bias else None,
    )
    document_template = fields.get("document_template")
    graphs = decoder.scoring_graphs(body, max_length, head)
    recipe = scoring(
        prompt=templated(fields["pair_template"], tokenizer, document_template=document_template),
        max_length=max_length,
        pad_token_id=pad_token_id(body, tokenizer),
        activation=fields["activation"],
        kv_cache=decoder.cache(body),
    )
    return Plan(scoring=recipe, graphs=replace(graphs, vocabulary=None))


MAX_LENGTH = 256


def reference(torch: Torch) -> Reference:
    """A transcription of the model card: Qwen3Model, then the linear layer on the last hidden state."""
    body = with_body(torch.checkpoint, torch.options)
    prefix = decoder.body_prefix(body)
    config = torch.transformers.Qwen3Config(**{k: v for k, v in body.config.items() if k != "model_type"})
    config._attn_implementation = "eager"
    model = torch.transformers.Qwen3Model(config).eval()
    names = [name for name in body.tensors if name.startswith(prefix)]
    model.load_state_dict({name[len(prefix) :]: torch.tensor(body, name) for name in names})
    weight, bias = _head(torch.checkpoint, config.hidden_size)
    head = torch.tensor(torch.checkpoint, weight)[0]
    shift = float(torch.tensor(torch.checkpoint, bias)[0]) if bias else 0.0
    fields = _input_format(torch.checkpoint, torch.options)
    before, after = str(fields["pair_template"]).split("{document}")

    def encode(query: str, document: str) -> tuple[list[int], list[int]]:
        def tokens(text: str) -> list[int]:
            ids: list[int] = torch.tokenizer(text, add_special_tokens=False)["input_ids"]
            return ids

        suffix = tokens(after)
        room = torch.scoring.max_length - len(suffix)
        return [], [*tokens(before.replace("{query}", query) + document)[:room], *suffix]

    def score(query_ids: list[int], ids: list[int]) -> Any:
        hidden = model(input_ids=torch.torch.tensor([ids])).last_hidden_state[0, -1]
        return hidden @ head + shift

    return Reference(encode=encode, score=score, model=model)


def with_body(checkpoint: Checkpoint, options: FamilyOptions) -> Checkpoint:
    """Return the checkpoint with the body's configuration instead of its own.

    Raises InputError if neither config.json nor an option has it.
    """
    config = next((checkpoint.config[name] for name in BODIES if isinstance(checkpoint.config.get(name), dict)), None)
    if options.backbone_config:
        config = _read_config(options.backbone_config)
    if config is None and "hidden_size" in checkpoint.config:
        config = {name: value for name, value in checkpoint.config.items() if name not in _own(checkpoint.config)}
    if config is None:
        raise InputError(
            f"{checkpoint.folder / 'config.json'} holds no dimensions of the body; name a config.json that has them "
            "with --backbone-config (a file, a folder or a hub id such as Qwen/Qwen3-0.6B)."
        )
    body = {**config, "model_type": "qwen3"}
    if "num_hidden_layers" not in body or "num_attention_heads" not in body:
        raise CheckpointError(f"the body's configuration of {checkpoint.folder} is incomplete; use --backbone-config.")
    return replace(checkpoint, config=body)


def _own(config: Mapping[str, Any]) -> set[str]:
    """Return the fields that describe the input or the head, not the body."""
    known = {name for names in NAMES.values() for name in names} | set(SECTIONS)
    return known | {"arch", "base_model", "head", "head_dtype", "backbone_dtype", "params", "num_params", "version"}


def _read_config(source: str) -> dict[str, Any]:
    path = Path(source)
    if path.is_dir():
        path = path / "config.json"
    elif not path.is_file() and looks_like_repo_id(source):
        path = snapshot(source, revision=None, allow_patterns=["config.json"]).folder / "config.json"
    if not path.is_file():
        raise InputError(f"--backbone-config {source!r:.60} is no file, folder or hub id; check it.")
    return read_json(path)


def _input_format(checkpoint: Checkpoint, options: FamilyOptions) -> dict[str, Any]:
    """Return what config.json and the options say about the input, by option name."""
    sections = [checkpoint.config, *(checkpoint.config.get(name) for name in SECTIONS)]
    found: dict[str, Any] = {}
    for section in sections:
        if isinstance(section, str):
            found["pair_template"] = section
        if isinstance(section, dict):
            for option, names in NAMES.items():
                values = [section[name] for name in names if isinstance(section.get(name), (str, int))]
                if values:
                    found[option] = values[0]
    found |= {name: value for name, value in options.given().items() if name in NAMES}
    for option in ("pair_template", "max_length", "pooling", "activation"):
        if option not in found:
            raise InputError(
                f"{checkpoint.folder / 'config.json'} does not say the {option.replace('_', ' ')}; "
                f"give it with --{option.replace('_', '-')}, as the model's own code has it."
            )
    found["pair_template"] = _slots(str(found["pair_template"]))
    found["activation"] = "identity" if found["activation"] in RAW else found["activation"]
    for option, allowed in (("pooling", LAST), ("activation", ("sigmoid", "identity"))):
        if found[option] not in allowed:
            raise UnsupportedError(
                f"the {option} of {checkpoint.folder.name} is {found[option]!r:.60}, and {', '.join(allowed)} are "
                "supported; such a checkpoint cannot be exported."
            )
    return found


def _slots(template: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: "{" + SLOTS.get(match[1], match[1]) + "}", template)


def _heads(checkpoint: Checkpoint) -> list[str]:
    return [
        name
        for name, entry in checkpoint.tensors.items()
        if name.split(".")[0] in ("head", "score", "classifier") and name.endswith("weight")
    ]


def _head(checkpoint: Checkpoint, hidden: int) -> tuple[str, str | None]:
    """Return the names of the head's weight, [1, hidden], and bias, [1]."""
    heads = _heads(checkpoint)
    if len(heads) != 1:
        raise CheckpointError(
            f"{checkpoint.folder} has {len(heads)} tensors that could be the head ({', '.join(heads) or 'none'}), and "
            "one `head...weight` is needed; download the checkpoint again."
        )
    checkpoint.require(heads[0], (1, hidden))
    bias = heads[0].removesuffix("weight") + "bias"
    if bias not in checkpoint.tensors:
        return heads[0], None
    checkpoint.require(bias, (1,))
    return heads[0], bias


FAMILY = Family(
    name="matrix-v6-reranker",
    description="Qwen3 body and a linear head on the last token, for routing to capabilities",
    model_types=[],
    never=frozenset({*DECODERS, *ENCODERS} - {"qwen3"}),
    options=frozenset({"max_length", "pair_template", "document_template", "pooling", "activation", "backbone_config"}),
    recognises=recognises,
    could_be=could_be,
    plan=plan,
    reference=reference,
)
