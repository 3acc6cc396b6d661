"""Reads how a ColBERT checkpoint encodes texts, in the layout of PyLate or of sentence-transformers 6."""

import string
from dataclasses import dataclass, replace
from typing import Any

from onnxrank.errors import UnsupportedError
from onnxrank.export.architectures import encoder
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.modules import Module, read_modules, st_config
from onnxrank.export.checkpoint.tokenizer import declared_length
from onnxrank.export.options import FamilyOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ColbertSettings:
    """prefixes: single tokens before the texts. prompts: words before the texts. lengths: in tokens, prefix included.
    expansion: whether queries are filled up to their length, with `expansion_token` or, if None, the tokenizer's mask
    token. attend: whether attention sees these. skip: words whose vectors documents drop. strip: whether spaces around
    prompt and text are removed."""

    query_prefix: str
    document_prefix: str
    query_prompt: str
    document_prompt: str
    query_length: int
    document_length: int
    expansion: bool
    attend: bool
    expansion_token: str | None
    skip: list[str]
    strip: bool
    lower_case: bool

    def prefix(self, side: str) -> str:
        """Of "query" or "document"."""
        return self.query_prefix if side == "query" else self.document_prefix

    def prompt(self, side: str) -> str:
        """Of "query" or "document"."""
        return self.query_prompt if side == "query" else self.document_prompt

    def length(self, side: str) -> int:
        """Of "query" or "document"."""
        return self.query_length if side == "query" else self.document_length


def settings_of(checkpoint: Checkpoint, options: FamilyOptions) -> ColbertSettings:
    """Read the settings; the options' lengths override the checkpoint's. Raises UnsupportedError for unknown values."""
    mask = next((module for module in read_modules(checkpoint) if module.kind == "MultiVectorMask"), None)
    found = _sentence_transformers(checkpoint, mask) if mask else _pylate(checkpoint)
    return replace(
        found,
        query_length=options.query_length or found.query_length,
        document_length=options.document_length or found.document_length,
    )


def _pylate(checkpoint: Checkpoint) -> ColbertSettings:
    """Source: ColBERT.__init__ of pylate/models/colbert.py, whose defaults these are.

    Its `encode` takes prompts by name; the model was trained with the two that are named after the sides.
    """
    stored = {name: value for name, value in st_config(checkpoint).items() if value is not None}
    prompts = stored.get("prompts", {})
    return ColbertSettings(
        query_prefix=stored.get("query_prefix", "[Q] "),
        document_prefix=stored.get("document_prefix", "[D] "),
        query_prompt=prompts.get("query") or "",
        document_prompt=prompts.get("document") or "",
        query_length=int(stored.get("query_length", 32)),
        document_length=int(stored.get("document_length", 180)),
        expansion=bool(stored.get("do_query_expansion", True)),
        attend=bool(stored.get("attend_to_expansion_tokens", False)),
        expansion_token=None,
        skip=stored.get("skiplist_words", list(string.punctuation)),
        strip=True,
        lower_case=bool(st_config(checkpoint, "sentence_bert_config.json").get("do_lower_case", False)),
    )


def _sentence_transformers(checkpoint: Checkpoint, mask: Module) -> ColbertSettings:
    """Source: base/modules/transformer.py and multi_vector_encoder/modules of sentence-transformers 6."""
    stored = st_config(checkpoint, "sentence_bert_config.json")
    prompts = st_config(checkpoint).get("prompts") or {}
    expansion: dict[str, Any] = stored.get("query_expansion") or {}
    modules = read_modules(checkpoint)
    elsewhere = [
        module.kind
        for module in modules[1:]
        if module.kind != mask.kind and module.config.get("module_input_name") != "token_embeddings"
    ]
    for what, value, known in (
        ("query_expansion strategy", expansion.get("strategy"), (None, "fixed")),
        ("skiplist_tasks", mask.config.get("skiplist_tasks") or ["document"], (["document"],)),
        ("keep_only_token_ids", mask.config.get("keep_only_token_ids"), (None,)),
        ("last module", modules[-1].kind, ("Normalize",)),
        ("list of modules that read something else than token_embeddings", elsewhere, ([],)),
    ):
        if value not in known:
            raise UnsupportedError(
                f"the {what} of {checkpoint.folder.name} is {value!r:.60}, and only {known[-1]!r:.60} is supported; "
                "such a checkpoint cannot be exported."
            )
    positions = encoder.positions(checkpoint)
    longest = min(declared_length(checkpoint) or positions, positions)
    return ColbertSettings(
        query_prefix=prompts.get("query", ""),
        document_prefix=prompts.get("document", ""),
        query_prompt="",
        document_prompt="",
        query_length=int(expansion.get("length") or stored.get("query_length") or longest),
        document_length=int(stored.get("document_length") or longest),
        expansion=bool(expansion),
        attend=bool(expansion.get("attend", False)),
        expansion_token=expansion.get("token"),
        skip=mask.config.get("skiplist_words") or [],
        strip=False,
        lower_case=bool(stored.get("do_lower_case", False)),
    )
