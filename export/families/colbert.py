"""ColBERT checkpoints of PyLate and sentence-transformers: a vector per token, compared by MaxSim.

Source: pylate/models/colbert.py. The prefix token follows [CLS]. Queries are filled up with [MASK] tokens, which are
scored even if attention does not see them. Documents drop the vectors of tokens on the skip list.
"""

import re
from functools import partial
from typing import Any

import onnx_ir as ir
from tokenizers import Tokenizer

from onnxrank.artifact.manifest import Expansion, MaskedRow, TextPrompt, Texts, TokenVectors
from onnxrank.errors import CheckpointError, InputError, UnsupportedError
from onnxrank.export.architectures import encoder
from onnxrank.export.architectures.architecture import EncoderBody, Graphs
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.modules import Module, read_modules, st_config
from onnxrank.export.checkpoint.tokenizer import fixed_token_ids, pad_token_id, special_token_id, template_token_ids
from onnxrank.export.families.colbert_settings import ColbertSettings, settings_of
from onnxrank.export.families.family import Family, Plan, Reference, Torch, scoring
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.heads import Outputs, embeddings
from onnxrank.export.graph.modules import dense, dense_reference
from onnxrank.export.options import FamilyOptions


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether the configuration says ColBERT, or modules.json names a MultiVectorMask."""
    kinds = [module.kind for module in read_modules(checkpoint)]
    return st_config(checkpoint).get("model_type") == "ColBERT" or "MultiVectorMask" in kinds


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    settings = settings_of(checkpoint, options)
    projections = _projections(checkpoint)
    expansion = _expansion(checkpoint, tokenizer, settings)
    dim = int(projections[-1].config["out_features"])
    max_length = max(settings.query_length, settings.document_length)
    if max_length > (positions := encoder.positions(checkpoint)):
        side = "query" if settings.query_length == max_length else "document"
        raise InputError(
            f"a {side} of {max_length} tokens is longer than the {positions} positions of this model; "
            f"give --{side}-length {positions} or less."
        )
    slides = checkpoint.config["model_type"] == "modernbert" and expansion is not None and not expansion.attend
    masked_row = (options.masked_row or _masked_row(checkpoint)) if slides else None
    skipped = (tokenizer.token_to_id(word) for word in settings.skip)

    def text(side: str) -> TextPrompt:
        first, last = template_token_ids(tokenizer)
        prefix = _prefix(tokenizer, settings.prefix(side))
        return TextPrompt(
            prefix_token_ids=(*first, *prefix),
            template=settings.prompt(side) + "{text}",
            suffix_token_ids=last,
            max_length=settings.length(side),
        )

    recipe = scoring(
        texts=Texts(
            query=text("query"),
            document=text("document"),
            default_instruction=None,
            strip=settings.strip,
            lower_case=settings.lower_case,
        ),
        late_interaction=TokenVectors(
            dim=dim,
            expansion=expansion,
            skip_token_ids=tuple(sorted({id_ for id_ in skipped if id_ is not None})),
            masked_row=masked_row,
        ),
        max_length=max_length,
        pad_token_id=pad_token_id(checkpoint, tokenizer),
    )
    layers = int(checkpoint.config["num_hidden_layers"])
    body = EncoderBody(layers=layers, max_length=max_length, masked_row=masked_row)
    head = partial(_head, checkpoint, projections, dim)
    return Plan(scoring=recipe, graphs=Graphs(padded=partial(encoder.build, checkpoint, body, head)))


def reference(torch: Torch) -> Reference:
    """Compute as PyLate does, one text at a time."""
    scoring = torch.scoring
    late, texts = scoring.late_interaction, scoring.texts
    assert late and texts
    settings = settings_of(torch.checkpoint, torch.options)
    # For a row that sees no key, boolean masks (transformers 5) give zeros, and additive masks (4) the mean.
    if late.masked_row == "zero" and int(torch.transformers.__version__.split(".")[0]) < 5:
        raise UnsupportedError(
            "transformers 4 gives a masked row the mean; use transformers 5, or give --masked-row mean"
        )
    model = torch.load("AutoModel", attn_implementation="sdpa" if late.masked_row == "zero" else "eager")
    layers = [dense_reference(torch.torch, torch.checkpoint, module) for module in _projections(torch.checkpoint)]

    def tokens(text: str, side: str) -> list[int]:
        text = settings.prompt(side) + text
        text = text.strip() if settings.strip else text
        prefix, length = settings.prefix(side), settings.length(side)
        inserted = [torch.tokenizer.convert_tokens_to_ids(prefix)] if prefix else []
        ids: list[int] = torch.tokenizer(
            text.lower() if settings.lower_case else text, truncation=True, max_length=length - len(inserted)
        )["input_ids"]
        ids = [ids[0], *inserted, *ids[1:]]
        if side == "query" and late.expansion:
            ids += [late.expansion.token_id] * (length - len(ids))
        return ids

    def vectors(ids: list[int], attended: int) -> Any:
        input_ids = torch.torch.tensor([ids])
        mask = torch.torch.zeros_like(input_ids)
        mask[0, :attended] = 1
        x = model(input_ids=input_ids, attention_mask=mask).last_hidden_state[0].float()
        for layer in layers:
            x = layer(x)
        return torch.torch.nn.functional.normalize(x, dim=-1)

    def score(query_ids: list[int], ids: list[int]) -> Any:
        seen = len(query_ids)
        if late.expansion and not late.expansion.attend:
            seen = len(query_ids) - _trailing(query_ids, late.expansion.token_id)
        kept = [i for i, id_ in enumerate(ids) if id_ not in late.skip_token_ids]
        similarities = vectors(query_ids, seen) @ vectors(ids, len(ids))[kept].T
        return similarities.max(dim=1).values.sum()

    return Reference(encode=lambda q, d: (tokens(q, "query"), tokens(d, "document")), score=score, model=model)


def _trailing(ids: list[int], token_id: int) -> int:
    return len(ids) - max((i + 1 for i, id_ in enumerate(ids) if id_ != token_id), default=0)


def _head(
    checkpoint: Checkpoint, projections: list[Module], dim: int, b: GraphBuilder, hidden: encoder.Hidden
) -> Outputs:
    x: ir.Value = hidden.normed
    for i, module in enumerate(projections, 1):
        x = dense(b, checkpoint, module, x, f"projection.{i}")
    return embeddings(b, x, dim, per_token=True)


def _projections(checkpoint: Checkpoint) -> list[Module]:
    modules = read_modules(checkpoint)
    found = [module for module in modules if module.kind == "Dense"]
    if not found:
        raise CheckpointError(
            f"{checkpoint.folder}/modules.json names no Dense module, so there is no projection; use a trained ColBERT."
        )
    for module in modules:
        if module.kind not in ("Transformer", "Dense", "MultiVectorMask", "Normalize"):
            raise UnsupportedError(
                f"modules.json names a {module.kind} module, and this family has none; "
                "name the family this checkpoint belongs to."
            )
    return found


def _expansion(checkpoint: Checkpoint, tokenizer: Tokenizer, settings: ColbertSettings) -> Expansion | None:
    if not settings.expansion:
        return None
    named = settings.expansion_token
    mask = tokenizer.token_to_id(named) if named else special_token_id(checkpoint, tokenizer, "mask_token")
    if mask is None:
        raise CheckpointError(
            f"the tokenizer of {checkpoint.folder} has no {named or 'mask_token'}, which query expansion needs; "
            "use the tokenizer that the model was trained with."
        )
    return Expansion(token_id=mask, attend=settings.attend)


def _masked_row(checkpoint: Checkpoint) -> MaskedRow:
    """Return the output for a row without visible keys in the transformers release that saved the checkpoint."""
    version = re.match(r"\d+", str(checkpoint.config.get("transformers_version", "")))
    if version is None:
        raise UnsupportedError(
            f"config.json of {checkpoint.folder.name} names no transformers_version, on which the vectors of expansion "
            "tokens depend; give --masked-row mean (transformers 4) or zero (5)."
        )
    return "mean" if int(version[0]) < 5 else "zero"


def _prefix(tokenizer: Tokenizer, prefix: str) -> tuple[int, ...]:
    if not prefix:
        return ()
    known = tokenizer.token_to_id(prefix)
    if known is None:
        raise CheckpointError(
            f"the tokenizer has no token {prefix!r:.60} ({len(fixed_token_ids(tokenizer, prefix))} tokens), which the "
            "configuration names as a prefix; save the checkpoint with PyLate once."
        )
    return (known,)


FAMILY = Family(
    name="colbert",
    description="a vector per token and MaxSim (PyLate ColBERT on BERT or ModernBERT: Reason-mxbai-colbert)",
    model_types=["bert", "modernbert", "roberta", "xlm-roberta"],
    options=frozenset({"query_length", "document_length", "masked_row"}),
    recognises=recognises,
    could_be=lambda checkpoint: any(module.kind == "Dense" for module in read_modules(checkpoint)),
    plan=plan,
    reference=reference,
)
