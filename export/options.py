"""The options of an export."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from onnxrank.artifact.manifest import Activation, MaskedRow
from onnxrank.artifact.variants import Precision

Setting = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyOptions:
    """Options that only some families take; None means that the checkpoint decides.

    pair_template: text of a pair, with {query} and {document}. document_template: text of a document with fields.
    activation: "sigmoid" or "identity". pooling: "last". backbone_config: the body's config.json, a file, folder or
    hub id.
    layers, dim: the one exit and width of a matryoshka model to export. query_length, document_length: tokens.
    masked_row: "mean" or "zero", the attention output of an expansion token that sees no other in a sliding layer.
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
        """The inverse of `given`; it ignores options of other releases."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in known})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to export. head: "score" for a graph whose output is the score, "lm" for the full vocabulary with KV cache.

    proof_length: tokens of the longest text that the proof scores. accept_loss: whether a variant is written that loses
    more of PyTorch's ranking than it should. block_size, method, embedding_bits: for q4. quality: "best", or "fast" to
    round weights without measuring how much the score depends on them. calibration: a file with the texts on which that
    is measured; None for the package's.
    scripts: Unicode's names of the scripts whose tokens are kept; empty means all.
    """

    variants: Sequence[str] = ("q4",)
    head: str = "score"
    proof_length: int = 512
    accept_loss: bool = False
    block_size: int = 32
    method: str = "gptq"
    embedding_bits: int = 8
    quality: str = "best"
    calibration: Path | None = None
    scripts: Sequence[str] = ()
    family: FamilyOptions = FamilyOptions()

    def has_quality(self, precision: Precision) -> bool:
        """Whether `quality` decides how a variant's weights are rounded."""
        return precision.weight_bits == 8 or (precision.weight_bits == 4 and self.method == "gptq")

    def calibrates(self, precision: Precision) -> bool:
        """Whether a variant's weights are rounded by their measured effect on the score."""
        return self.has_quality(precision) and self.quality != "fast"

    def recorded(self) -> dict[str, Setting]:
        """Return what the manifest records: the family's options and the scripts."""
        scripts: dict[str, Setting] = {"scripts": ",".join(self.scripts)} if self.scripts else {}
        return {**self.family.given(), **scripts}
