"""`reranker.json`: everything a scorer needs to know about an artifact that the graphs do not carry."""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from onnxrank.errors import ArtifactError
from onnxrank.schema import SchemaError, read, write

MANIFEST = "reranker.json"
GOLDEN = "golden.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the checkpoint came from. `revision` is a commit hash, or None for a local folder."""

    id: str
    revision: str | None
    licence: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """How a pair becomes token ids: five pieces, encoded one by one, their ids concatenated.

    The first and last piece are fixed token ids. `instruction`, `query` and `document` are templates
    with one `{slot}` of that name; they are cut where no token of the checkpoint's tokenizer can cross,
    so that the pieces before the document can be computed once and shared.
    """

    prefix_token_ids: tuple[int, ...]
    instruction: str
    query: str
    document: str
    suffix_token_ids: tuple[int, ...]
    default_instruction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularyReadout:
    """For a graph that gives `[batch_size, sequence_length, vocab_size]`: score = logit(true) - logit(false)."""

    true_token_id: int
    false_token_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValueCache:
    """Shape of the `past_key_values.N.key|value` inputs: `[1, heads, past, head_dim]` float32 for N < layers."""

    layers: int
    heads: int
    head_dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far a graph's scores are from PyTorch's over the golden pairs."""

    pairs: int
    max_logit_difference: float
    max_score_difference: float
    kendall_tau: float
    top1_agreement: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One precision of the model. `packed` is None where packed scoring is not meant to run (GPU, browser)."""

    portable: str
    packed: str | None
    files: tuple[str, ...]
    settings: dict[str, str | int | bool]
    kept_float32: tuple[str, ...]
    parity: dict[str, Parity]
    batch_effect: float
    evaluation: dict[str, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The whole of `reranker.json`. `activation` is "sigmoid" or "identity"; `max_length` is in tokens."""

    format: int
    name: str
    family: str
    source: Source
    made_with: dict[str, str]
    prompt: Prompt
    max_length: int
    pad_token_id: int
    activation: str
    readout: VocabularyReadout | None
    kv_cache: KeyValueCache | None
    variants: dict[str, Variant]
    files: dict[str, FileEntry]


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of an artifact folder.

    Raises ArtifactError if it is missing, of a newer format, malformed, or names a path outside its folder.
    """
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(
            f"{folder} has no {MANIFEST}: it is not an exported artifact; make one with `export-model`."
        ) from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); export the artifact again.") from error
    found = data.get("format") if isinstance(data, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise ArtifactError(f"{path} has format {found}, and this onnxrank reads up to {FORMAT}: upgrade onnxrank.")
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
    if manifest.format != FORMAT:
        raise ArtifactError(f"{path} has the unknown format {manifest.format}; export the artifact again.")
    if manifest.activation not in ("sigmoid", "identity"):
        raise ArtifactError(f"{path} names the unknown activation {manifest.activation!r}; export the artifact again.")
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name:
            raise ArtifactError(f"{path} names {name!r}, a path outside its folder; do not use this artifact.")
    for label, variant in manifest.variants.items():
        named = {variant.portable, *([variant.packed] if variant.packed else []), *variant.files}
        if unlisted := sorted(named - set(manifest.files)):
            raise ArtifactError(
                f"{path}: variant {label!r} names {unlisted[0]!r}, which `files` does not list; "
                "export the artifact again."
            )
