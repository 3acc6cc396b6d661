"""Qwen3-Embedding: the L2-normalised hidden state of the last token, for retrieval before reranking."""

import re
from typing import Any

import onnx_ir as ir
from tokenizers import Tokenizer

from onnxrank.artifact.manifest import TextPrompt, Texts
from onnxrank.errors import CheckpointError, UnsupportedError
from onnxrank.export.architectures import DECODERS, decoder
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.modules import read_modules, st_config
from onnxrank.export.checkpoint.tokenizer import pad_token_id, template_token_ids
from onnxrank.export.families.evidence import is_classifier
from onnxrank.export.families.family import Family, Plan, Reference, Torch, scoring
from onnxrank.export.graph.builder import GraphBuilder
from onnxrank.export.graph.heads import Outputs, embeddings
from onnxrank.export.options import FamilyOptions

INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
INSTRUCTED = "Instruct: {instruction}\nQuery:"
MAX_LENGTH = 8192


def recognises(checkpoint: Checkpoint) -> bool:
    """Whether it is a decoder whose modules.json pools the last token."""
    return checkpoint.config.get("model_type") in DECODERS and any(
        _pools_last(module.config) for module in read_modules(checkpoint) if module.kind == "Pooling"
    )


def plan(checkpoint: Checkpoint, tokenizer: Tokenizer, options: FamilyOptions) -> Plan:
    _check_modules(checkpoint)
    max_length = decoder.longest(checkpoint, options.max_length, MAX_LENGTH)
    dim = int(checkpoint.config["hidden_size"])
    instruction, query, document = _prompts(checkpoint)
    first, last = template_token_ids(tokenizer)
    if not first and not last:
        raise CheckpointError(
            f"{checkpoint.folder}/tokenizer.json adds no token to a text, so an empty text has none whose vector could "
            "be taken; use the tokenizer that the model was trained with (Qwen3-Embedding's ends each text with "
            "<|endoftext|>)."
        )

    def text(template: str) -> TextPrompt:
        return TextPrompt(
            prefix_token_ids=first,
            template=template,
            suffix_token_ids=last,
            max_length=max_length,
        )

    def head(b: GraphBuilder, hidden: ir.Value, rows: str) -> Outputs:
        return embeddings(b, hidden, dim, per_token=False)

    recipe = scoring(
        texts=Texts(
            query=text(query), document=text(document), default_instruction=instruction, strip=False, lower_case=False
        ),
        max_length=max_length,
        pad_token_id=pad_token_id(checkpoint, tokenizer),
    )
    return Plan(scoring=recipe, graphs=decoder.embedding_graphs(checkpoint, max_length, head))


def reference(torch: Torch) -> Reference:
    model = torch.load("AutoModel")
    _, query_template, document_template = _prompts(torch.checkpoint)
    assert torch.scoring.texts
    instruction = torch.scoring.texts.default_instruction

    def tokens(template: str, text: str) -> list[int]:
        filled = template.replace("{instruction}", instruction or "").replace("{text}", text)
        ids: list[int] = torch.tokenizer(filled, truncation=True, max_length=torch.scoring.max_length)["input_ids"]
        return ids

    def encode(query: str, document: str) -> tuple[list[int], list[int]]:
        return tokens(query_template, query), tokens(document_template, document)

    def embed(ids: list[int]) -> Any:
        hidden = model(input_ids=torch.torch.tensor([ids])).last_hidden_state[0, -1].float()
        return torch.torch.nn.functional.normalize(hidden, dim=-1)

    def score(query_ids: list[int], ids: list[int]) -> Any:
        return embed(query_ids) @ embed(ids)

    return Reference(encode=encode, score=score, model=model)


def _prompts(checkpoint: Checkpoint) -> tuple[str | None, str, str]:
    """Return the default instruction, and the templates of queries and documents."""
    prompts = st_config(checkpoint).get("prompts") or {"query": INSTRUCTED.format(instruction=INSTRUCTION)}
    query, document = str(prompts.get("query", "")), str(prompts.get("document", ""))
    instructed = re.fullmatch(r"Instruct: (.*)\nQuery:( ?)", query, re.DOTALL)
    if instructed:
        return instructed[1], INSTRUCTED + instructed[2] + "{text}", document + "{text}"
    return None, query + "{text}", document + "{text}"


def _check_modules(checkpoint: Checkpoint) -> None:
    for module in read_modules(checkpoint):
        if module.kind == "Pooling" and not _pools_last(module.config):
            raise UnsupportedError(
                f"{module.folder}/config.json does not pool the last token, which this family does; "
                "name the family this checkpoint belongs to."
            )
        if module.kind not in ("Transformer", "Pooling", "Normalize"):
            raise UnsupportedError(
                f"modules.json names a {module.kind} module, and this family has none; "
                "name the family this checkpoint belongs to."
            )


def _pools_last(config: dict[str, object]) -> bool:
    return config.get("pooling_mode_lasttoken") is True or config.get("pooling_mode") == "lasttoken"


FAMILY = Family(
    name="qwen3-embedding",
    description="last-token text embedding for retrieval (Qwen3-Embedding 0.6B, 4B, 8B; the Matrix v6 retriever)",
    model_types=sorted(DECODERS),
    options=frozenset({"max_length"}),
    recognises=recognises,
    could_be=lambda checkpoint: not is_classifier(checkpoint),
    plan=plan,
    reference=reference,
)
