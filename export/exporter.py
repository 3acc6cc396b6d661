"""The way from a checkpoint to an artifact: oracle first, then graphs, then the proof, then the manifest."""

import platform
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import onnx_ir as ir
from tokenizers import Tokenizer

from onnxrank.artifact import TOKENIZER, Artifact, sha256
from onnxrank.errors import CheckpointError, InputError, UnsupportedError
from onnxrank.export.architectures import ARCHITECTURES
from onnxrank.export.card import write_card
from onnxrank.export.checkpoint import Checkpoint, read_json
from onnxrank.export.decoder_inputs import Shape
from onnxrank.export.evaluation import evaluate
from onnxrank.export.families import FAMILIES
from onnxrank.export.family import Family, Head
from onnxrank.export.golden_pairs import EVALUATION, golden_pairs
from onnxrank.export.oracle import record
from onnxrank.export.save import save_graphs
from onnxrank.export.sources import Source
from onnxrank.export.staging import staged
from onnxrank.export.transformers_js import write_config
from onnxrank.golden import Golden, write_golden
from onnxrank.manifest import (
    FORMAT,
    MANIFEST,
    FileEntry,
    Manifest,
    Variant,
    read_manifest,
    write_manifest,
)
from onnxrank.manifest import Source as ManifestSource
from onnxrank.quantize.variants import VARIANTS, apply_variant
from onnxrank.verification import check_gates, verify_variant, ways_of

# The head decides the score, and is one vector: it is never quantized.
EXACT = frozenset({"score.weight"})

# progress(label, total) gives a function that reports how many more are done.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to export. head: "score" for a graph that gives the score, "lm" for the full vocabulary with KV cache.

    max_length: tokens of the longest prompt; the family's if None. proof_length: tokens of the longest text that
    the proof scores. block_size and method are q4's.
    """

    variants: Sequence[str] = ("q4",)
    head: str = "score"
    max_length: int | None = None
    proof_length: int = 512
    block_size: int = 32
    method: str = "rtn"


def export(
    source: Source, out: Path, *, family: str | None, options: Options, force: bool, progress: Progress
) -> Manifest:
    """Write the artifact folder `out` and return its manifest.

    source: from `locate`. family: its name, or None for the one the source is known by.
    Raises a RerankError; then `out` is as it was before.
    """
    with staged(out, force=force) as folder:
        job = _Job(source, family, options, folder, progress)
        job.copy_texts()
        golden = job.record_golden()
        manifest = job.manifest()
        for variant in options.variants:
            manifest = job.add(variant, manifest, golden)
        job.finish(manifest)
    return read_manifest(out)


class _Job:
    def __init__(self, source: Source, family: str | None, options: Options, folder: Path, progress: Progress) -> None:
        self.source = source
        self.options = options
        self.folder = folder
        self.progress = progress
        self.checkpoint = Checkpoint.open(source.folder)
        self.family = _find_family(family or source.family, self.checkpoint)
        self.architecture = ARCHITECTURES[self.checkpoint.config["model_type"]]
        self.max_length = options.max_length or self.family.max_length
        positions = self.checkpoint.config.get("max_position_embeddings") or self.max_length
        if self.max_length > positions:
            if options.max_length:
                raise InputError(
                    f"--max-length {self.max_length} is more than the {positions} positions of this model."
                )
            self.max_length = positions
        self.tokenizer = _read_tokenizer(source.folder)
        self.head: Head = self.family.head(self.checkpoint, self.tokenizer)
        # Weights stay unread, so this only checks the config and every tensor's shape, before the oracle's minutes.
        self._build(Shape.PORTABLE)

    def copy_texts(self) -> None:
        for name in (TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"):
            if (self.source.folder / name).is_file():
                shutil.copyfile(self.source.folder / name, self.folder / name)
        write_config(self.checkpoint.config, self.options.variants, self.folder)

    def record_golden(self) -> Golden:
        """PyTorch's scores of the untouched checkpoint: before anything is built."""
        pairs = golden_pairs(
            self.tokenizer,
            self.source.folder,
            max_length=self.max_length,
            proof_length=min(self.options.proof_length, self.max_length),
        )
        with self.progress("PyTorch scores", len(pairs)) as done:
            golden = record(
                str(self.source.folder),
                family=self.family.name,
                pairs=pairs,
                max_length=self.max_length,
                done=done,
            )
        write_golden(golden, self.folder)
        return golden

    def manifest(self) -> Manifest:
        """The manifest of an artifact without variants."""
        lm = self.options.head == "lm"
        packages = ("onnxrank", "onnx", "onnx-ir", "onnxruntime", "torch", "transformers")
        return Manifest(
            format=FORMAT,
            name=self.source.name,
            family=self.family.name,
            source=ManifestSource(id=self.source.id, revision=self.source.revision, licence=self.source.licence),
            made_with={"python": platform.python_version(), **{name: version(name) for name in packages}},
            prompt=self.family.prompt(self.tokenizer),
            max_length=self.max_length,
            pad_token_id=_pad_token_id(self.source.folder, self.checkpoint, self.tokenizer),
            activation=self.family.activation,
            readout=self.head.readout if lm else None,
            kv_cache=None if lm else self.architecture.cache(self.checkpoint),
            variants={},
            files={},
        )

    def add(self, name: str, manifest: Manifest, golden: Golden) -> Manifest:
        """Build, save, prove and evaluate one variant; return the manifest with it."""
        spec = VARIANTS[name]
        first = Shape.LM if self.options.head == "lm" else Shape.PORTABLE
        shapes = {f"onnx/model{spec.suffix}.onnx": first}
        if spec.packed and first is Shape.PORTABLE:
            shapes[f"onnx/packed{spec.suffix or '_fp32'}.onnx"] = Shape.PACKED
        graphs = []
        kept: tuple[str, ...] = ()
        for path, shape in shapes.items():
            model = self._build(shape)
            kept = apply_variant(
                model, name, block_size=self.options.block_size, method=self.options.method, exclude=EXACT
            )
            graphs.append((self.folder / path, model))
        with self.progress(f"writing {name}", 1) as done:
            files = [path.relative_to(self.folder).as_posix() for path in save_graphs(graphs)]
            done(1)

        portable, *packed = shapes
        settings: dict[str, str | int | bool] = {}
        if spec.weights == "q4":
            settings = {"block_size": self.options.block_size, "method": self.options.method}
        variant = Variant(
            portable=portable,
            packed=packed[0] if packed else None,
            files=tuple(files),
            settings=settings,
            kept_float32=kept,
            parity={},
            batch_effect=0.0,
            evaluation=None,
        )
        manifest = replace(manifest, variants={**manifest.variants, name: variant}, files=self._files())
        artifact = Artifact(folder=self.folder, manifest=manifest, repository=None)
        with self.progress(f"proving {name}", len(golden.scored) * ways_of(variant)) as done:
            verification = verify_variant(artifact, variant, golden, done=done)
        check_gates(name, verification, golden)
        variant = replace(variant, parity=verification.parity, batch_effect=verification.batch_effect)
        manifest = replace(manifest, variants={**manifest.variants, name: variant})
        write_manifest(manifest, self.folder)
        if (self.source.folder / EVALUATION).is_file():
            variant = replace(variant, evaluation=evaluate(self.folder, name, self.source.folder / EVALUATION))
        return replace(manifest, variants={**manifest.variants, name: variant})

    def finish(self, manifest: Manifest) -> None:
        """The card, then the manifest with the hash of every file."""
        write_card(manifest, self.source.folder, self.folder)
        write_manifest(replace(manifest, files=self._files()), self.folder)

    def _build(self, shape: Shape) -> ir.Model:
        return self.architecture.build(
            self.checkpoint, shape=shape, max_length=self.max_length, score_weight=self.head.weight
        )

    def _files(self) -> dict[str, FileEntry]:
        paths = sorted(p for p in self.folder.rglob("*") if p.is_file() and p.name != MANIFEST)
        return {
            path.relative_to(self.folder).as_posix(): FileEntry(sha256=sha256(path), bytes=path.stat().st_size)
            for path in paths
        }


def _find_family(name: str | None, checkpoint: Checkpoint) -> Family:
    model_type = checkpoint.config.get("model_type")
    if name is None:
        raise InputError(
            f"{checkpoint.folder.name} does not say which reranker it is; name it with --family "
            f"({', '.join(FAMILIES)})."
        )
    if name not in FAMILIES:
        raise InputError(f"--family {name!r} is unknown; the families are {', '.join(FAMILIES)}.")
    family = FAMILIES[name]
    if model_type not in family.model_types:
        raise UnsupportedError(
            f"config.json has model_type {model_type!r}, and family {name} comes as {', '.join(family.model_types)}; "
            "name the family this checkpoint belongs to."
        )
    return family


def _read_tokenizer(folder: Path) -> Tokenizer:
    path = folder / TOKENIZER
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no {TOKENIZER}; save it with `AutoTokenizer.from_pretrained(...).save_pretrained(...)`."
        )
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise CheckpointError(f"{path} is no tokenizer ({error}); download the checkpoint again.") from error


def _pad_token_id(folder: Path, checkpoint: Checkpoint, tokenizer: Tokenizer) -> int:
    """Any id would do, since padding is masked; the tokenizer's own is the least surprising."""
    config = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    token = config.get("pad_token")
    content = token.get("content") if isinstance(token, dict) else token
    found = tokenizer.token_to_id(content) if content else None
    return found if found is not None else int(checkpoint.config.get("pad_token_id") or 0)
