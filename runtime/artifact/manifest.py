"""`reranker.json`: everything a scorer needs to know about an artifact that is not in the graphs."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from onnxrank.artifact.schema import Range, SchemaError, parse, read, write
from onnxrank.artifact.variants import PRECISIONS
from onnxrank.errors import ArtifactError, one_line

MANIFEST = "reranker.json"
GOLDEN = "golden.json"
DEVICE_CHECK = "device_check.json"
FORMAT = 2

Activation = Literal["sigmoid", "identity"]
Truncation = Literal["document", "longest_first"]
MaskedRow = Literal["mean", "zero"]
TokenId = Annotated[int, Range(least=0, most=2**31 - 1)]
# Tokens of a text, or numbers of a vector.
Length = Annotated[int, Range(least=1, most=2**20)]
# Layers or heads.
Count = Annotated[int, Range(least=1, most=2**12)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the checkpoint came from. `revision` is a commit hash, or None for a local folder."""

    id: str
    revision: str | None
    licence: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """How a (query, document) pair becomes token ids: pieces are encoded one by one and their ids concatenated.

    The token_ids are fixed. `instruction`, `query` and `document` are templates with `{instruction}`, `{query}` and
    `{document}` slots. The prompt is split where no token of the checkpoint's tokenizer can span the split, so that the
    pieces before the document are computed once for all documents. default_instruction is None if the model takes none.
    If the tokenizer allows no such split, `instruction` and `query` are empty and `document` has all three slots: each
    pair is then encoded whole, and the pairs of a query share the longest common prefix of their token ids.
    truncation: what is cut in a prompt that is too long: "document", or "longest_first" of query and document.
    document_template: how the fields of a structured document become its text, such as "{name}: {description}"; None
    if documents are plain texts only.
    """

    prefix_token_ids: tuple[TokenId, ...]
    instruction: str
    query: str
    separator_token_ids: tuple[TokenId, ...]
    document: str
    suffix_token_ids: tuple[TokenId, ...]
    default_instruction: str | None
    truncation: Truncation
    document_template: str | None

    @property
    def whole(self) -> bool:
        """Whether pairs are encoded whole."""
        return "{query}" in self.document


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPrompt:
    """How one text becomes token ids: prefix, the filled `template` cut from the right, suffix.

    The template's slots are `{text}` and `{instruction}`. max_length is in tokens, prefix and suffix included.
    """

    prefix_token_ids: tuple[TokenId, ...]
    template: str
    suffix_token_ids: tuple[TokenId, ...]
    max_length: Length


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """How a model that embeds texts one by one reads queries and documents.

    strip: whether white space around the filled template is removed. lower_case: whether it is then lower-cased.
    """

    query: TextPrompt
    document: TextPrompt
    default_instruction: str | None
    strip: bool
    lower_case: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """Queries are filled up to their max_length with one token; `attend` says whether attention sees it."""

    token_id: TokenId
    attend: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVectors:
    """One vector per token, L2-normalised by the graph. Documents drop the vectors of `skip_token_ids`.

    masked_row: the attention output of a token that sees no other in a sliding layer: the "mean" of all values, as in
    transformers 4, or "zero", as in transformers 5; None if no such token is scored.
    """

    dim: Length
    expansion: Expansion | None
    skip_token_ids: tuple[TokenId, ...]
    masked_row: MaskedRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matryoshka:
    """layers: the exits that a variant has graphs for, deepest first. dims: the widths, which are the columns of the
    logits, widest first."""

    layers: tuple[Count, ...]
    dims: tuple[Length, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularyReadout:
    """The score of a graph whose logits are `[batch_size, sequence_length, vocab_size]`: logit(true) - logit(false), or
    logit(true) if false_token_id is None."""

    true_token_id: TokenId
    false_token_id: TokenId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValueCache:
    """Shape of the prefix graph's `past_key_values.N.key|value` inputs: `[heads, past, head_dim]` float32 for N <
    layers."""

    layers: Count
    heads: Count
    head_dim: Length


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over queries and the bootstrap interval around it, at 95 % confidence."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far a graph's scores differ from PyTorch's over the golden pairs, and what that does to each query's ranking.

    noise: root mean square of the differences within a query, over that of PyTorch's own scores. gain: what a
    difference of two of PyTorch's scores becomes on average; 1 if the scale is kept. outlier: the largest difference
    within a query, over the root mean square of all. kendall_tau, top1_agreement: means over queries. flips: of all
    differences between two documents' scores, the share by which documents changed places. ndcg_points: nDCG@10 minus
    that of PyTorch's scores, times 100; None if no pair has a label. Queries of one document count only in the two
    largest differences.
    """

    pairs: int
    max_logit_difference: float
    max_score_difference: float
    noise: Interval
    gain: Interval
    outlier: float
    kendall_tau: float
    top1_agreement: float
    flips: float
    ndcg_points: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPast:
    """The float32 graph's keys and values of the tokens that every prompt with the default instruction starts with.

    file: float16, little-endian, `[layers, 2, heads, tokens, head_dim]`: of each layer the keys, rotated, then the
    values.
    """

    file: str
    token_ids: tuple[TokenId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One precision of the model; paths are relative to the artifact's folder.

    padded: the graph for padded rows; for a matryoshka model, its deepest exit. exits: the graphs of the other exits by
    layer count. prefix: the graph for documents behind a cached prefix; None for encoders and for precisions that
    CPUs do not run. requantize: the graph that computes the prefix graph's int8 weights from 4-bit ones; None if the
    prefix graph has its weights in files. past: what the prefix graph takes instead of its own, less exact keys and
    values; None if it computes them all. parity: by graph. batch_effect: the most that neighbours or the side of the
    padding move a golden pair's logit in one graph. graph_difference: the most that a logit differs between the padded
    and the prefix graph. accepted_loss: whether it loses more than the proof allows, and the user accepted that.
    """

    padded: str
    prefix: str | None
    requantize: str | None
    past: StoredPast | None
    exits: dict[str, str]
    files: tuple[str, ...]
    settings: dict[str, str | int | bool]
    kept_float32: tuple[str, ...]
    parity: dict[str, Parity]
    batch_effect: float
    graph_difference: float
    accepted_loss: bool
    evaluation: dict[str, float] | None

    @property
    def graphs(self) -> list[str]:
        """The paths of all graphs."""
        return [self.padded, *filter(None, (self.prefix, self.requantize)), *self.exits.values()]

    def exit(self, layers: int | None) -> str:
        """Return the padded graph that stops after `layers`, or the deepest for None."""
        return self.exits.get(str(layers), self.padded)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How texts become scores, for a model of any family.

    A model that reads pairs has a `prompt`; one that embeds texts has `texts`, and `late_interaction` if it computes a
    vector per token. `activation`: "sigmoid", of logits multiplied by `logit_scale`, or "identity", the logits.
    max_length is in tokens.
    """

    prompt: Prompt | None
    texts: Texts | None
    late_interaction: TokenVectors | None
    matryoshka: Matryoshka | None
    max_length: Length
    pad_token_id: TokenId
    activation: Activation
    logit_scale: float
    readout: VocabularyReadout | None
    kv_cache: KeyValueCache | None

    @property
    def opened_with(self) -> str:
        """The class that scores with such an artifact."""
        if self.prompt:
            return "Reranker"
        return "LateInteraction" if self.late_interaction else "Embedder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The whole of `reranker.json`.

    traced: whether PyTorch traced the graph, because its architecture has no builder. options: the family's options at
    export.
    """

    format: int
    name: str
    family: str
    source: Source
    made_with: dict[str, str]
    options: dict[str, str | int | bool]
    traced: bool
    scoring: Scoring
    variants: dict[str, Variant]
    files: dict[str, FileEntry]


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of an artifact folder.

    Raises ArtifactError if it is missing, of another format, malformed, or names a path outside its folder.
    """
    path = folder / MANIFEST
    try:
        data = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{folder} has no {MANIFEST}: it is not an exported artifact; make one with `export-model`."
        ) from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({one_line(error)}); export the artifact again.") from error
    found = data.get("format") if isinstance(data, dict) else None
    if isinstance(found, int) and found != FORMAT:
        remedy = "upgrade onnxrank" if found > FORMAT else "export the artifact again"
        raise ArtifactError(f"{path} has format {found!r:.60}, and this onnxrank reads format {FORMAT}: {remedy}.")
    try:
        manifest = read(Manifest, data)
    except SchemaError as error:
        raise ArtifactError(f"{path}: {error}; export the artifact again.") from error
    _check(manifest, path)
    return manifest


def write_manifest(manifest: Manifest, folder: Path) -> None:
    text = json.dumps(write(manifest), indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _check(manifest: Manifest, path: Path) -> None:
    scoring = manifest.scoring
    if (scoring.prompt is None) == (scoring.texts is None):
        raise ArtifactError(f"{path} must have either a prompt or texts under `scoring`; export the artifact again.")
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or set(name) & set("\\:\0"):
            raise ArtifactError(f"{path} names {name!r:.200}, a path outside its folder; do not use this artifact.")
    if not manifest.variants:
        raise ArtifactError(f"{path} lists no variant; export the artifact again.")
    for label, variant in manifest.variants.items():
        _check_variant(label, variant, manifest, path)


def _check_variant(label: str, variant: Variant, manifest: Manifest, path: Path) -> None:
    scoring = manifest.scoring
    matryoshka = scoring.matryoshka
    if matryoshka and not (matryoshka.layers and matryoshka.dims):
        raise ArtifactError(f"{path} lists no exit or no width under `matryoshka`; export the artifact again.")
    exits = {str(layers) for layers in matryoshka.layers[1:]} if matryoshka else set()
    if label not in PRECISIONS:
        raise ArtifactError(
            f"{path} lists the variant {label!r:.60}, and this onnxrank knows {', '.join(PRECISIONS)}; "
            "export the artifact again."
        )
    if variant.prefix and not scoring.kv_cache:
        raise ArtifactError(
            f"{path}: variant {label!r} has a prefix graph, and `scoring` no kv_cache; export the artifact again."
        )
    named = {*variant.graphs, *variant.files, *([variant.past.file] if variant.past else [])}
    if unlisted := sorted(named - set(manifest.files)):
        raise ArtifactError(
            f"{path}: variant {label!r} names {unlisted[0]!r:.200}, which `files` does not list; "
            "export the artifact again."
        )
    if set(variant.exits) != exits:
        raise ArtifactError(
            f"{path}: variant {label!r} has graphs for other exits than `matryoshka` lists; export the artifact again."
        )
