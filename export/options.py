"""What can be asked of an export."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from onnxrank.artifact.manifest import Activation, MaskedRow

Setting = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyOptions:
    """What only some families take; None means: as the checkpoint says.

    pair_template: text of a pair, with {query} and {document}. document_template: text of a document with fields.
    activation: "sigmoid" or "identity". pooling: "last". backbone_config: the config.json of a body, its folder or hub
    id.
    layers, dim: the one exit and width of a matryoshka model to export. query_length, document_length: tokens.
    masked_row: "mean" or "zero", what a query's expansion token gets that sees nothing in a sliding layer.
    """

    max_length: int | None = None
    pair_template: str | None = None
    document_template: str | None = None
    activation: Activation | None = None
    pooling: str | None = None
    backbone_config: str | None = None
    layers: int | None = None
    dim: int | None = None
    query_length: int | None = None
    document_length: int | None = None
    masked_row: MaskedRow | None = None

    def given(self) -> dict[str, Setting]:
        """Return the options that are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def of(cls, given: Mapping[str, Setting]) -> "FamilyOptions":
        """The inverse of `given`; options of other releases are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in known})  # type: ignore[arg-type]  # as written


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to export. head: "score" for a graph that gives the score, "lm" for the full vocabulary with KV cache.

    proof_length: tokens of the longest text that the proof scores. block_size, method and embedding_bits are q4's.
    scripts: those whose tokens the vocabulary keeps, by Unicode's names; none means all.
    """

    variants: Sequence[str] = ("q4",)
    head: str = "score"
    proof_length: int = 512
    block_size: int = 32
    method: str = "rtn"
    embedding_bits: int = 8
    scripts: Sequence[str] = ()
    family: FamilyOptions = FamilyOptions()

    def recorded(self) -> dict[str, Setting]:
        """Return what the manifest says: the family's options, and the scripts."""
        scripts: dict[str, Setting] = {"scripts": ",".join(self.scripts)} if self.scripts else {}
        return {**self.family.given(), **scripts}
