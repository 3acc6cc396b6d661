"""The way from a checkpoint to an artifact: oracle first, then graphs, then the proof, then the manifest."""

import json
import platform
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import onnx_ir as ir

from onnxrank.artifact import TOKENIZER, Artifact, sha256
from onnxrank.errors import InputError, UnsupportedError
from onnxrank.export.card import write_card
from onnxrank.export.checkpoint import Checkpoint
from onnxrank.export.device_check import write_device_check
from onnxrank.export.evaluation import evaluate
from onnxrank.export.families import FAMILIES
from onnxrank.export.family import Family
from onnxrank.export.golden_pairs import EVALUATION, golden_pairs
from onnxrank.export.heads import EXACT
from onnxrank.export.options import FamilyOptions, Options
from onnxrank.export.oracle import record
from onnxrank.export.save import save_graphs
from onnxrank.export.sources import Source
from onnxrank.export.staging import staged
from onnxrank.export.tokenizer_file import read_tokenizer, settings
from onnxrank.export.transformers_js import write_config
from onnxrank.export.vocabulary import Vocabulary
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
from onnxrank.quantize.embedding_rows import keep_rows
from onnxrank.quantize.unpacked import unpack_graph
from onnxrank.quantize.variants import VARIANTS, apply_variant
from onnxrank.verification import check_gates, verify_variant, ways_of

# progress(label, total) gives a function that reports how many more are done.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def export(
    source: Source, out: Path, *, family: str | None, options: Options, force: bool, progress: Progress
) -> Manifest:
    """Write the artifact folder `out` and return its manifest.

    source: from `locate`. family: its name, or None for the one the source is known by or the checkpoint shows.
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
        self.family = find_family(family or source.family, self.checkpoint)
        _check_options(self.family, options.family)
        self.tokenizer = read_tokenizer(source.folder)
        self.plan = self.family.plan(self.checkpoint, self.tokenizer, options.family)
        if options.head == "lm" and self.plan.graphs.vocabulary is None:
            raise InputError(f"--head lm is for causal language models, and family {self.family.name} is none.")
        self.vocabulary: Vocabulary | None = None
        if options.scripts:
            if options.head == "lm":
                raise InputError("--head lm reads out the vocabulary that --scripts cuts; leave one of the two out.")
            self.vocabulary = Vocabulary.of(self.checkpoint, self.plan.scoring, options.scripts)
            self.plan = replace(self.plan, scoring=self.vocabulary.scoring(self.plan.scoring))
        if not self.plan.traced:
            # Weights stay unread, so this only checks the config and every tensor's shape, before the oracle's minutes.
            for build in (self.plan.graphs.portable, *self.plan.graphs.exits.values()):
                build()

    def copy_texts(self) -> None:
        for name in (TOKENIZER, "special_tokens_map.json", "chat_template.jinja"):
            if (self.source.folder / name).is_file():
                shutil.copyfile(self.source.folder / name, self.folder / name)
        # Other loaders of this folder cut texts by model_max_length, and the graph has no positions beyond max_length.
        told = {**settings(self.checkpoint), "model_max_length": self.plan.scoring.max_length}
        if self.vocabulary:
            told = self.vocabulary.renumber(told)
            text = json.dumps(self.vocabulary.tokenizer, ensure_ascii=False)
            (self.folder / TOKENIZER).write_text(text, encoding="utf-8")
        text = json.dumps(told, indent=2, ensure_ascii=False)
        (self.folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")

    def record_golden(self) -> Golden:
        """PyTorch's scores of the untouched checkpoint: before anything is built."""
        max_length = self.plan.scoring.max_length
        pairs = golden_pairs(
            self.tokenizer,
            self.source.folder,
            max_length=max_length,
            proof_length=min(self.options.proof_length, max_length),
        )
        with self.progress("PyTorch scores", len(pairs)) as done:
            golden = record(
                str(self.source.folder),
                family=self.family.name,
                pairs=pairs,
                options=self.options.recorded(),
                done=done,
            )
        write_golden(golden, self.folder)
        return golden

    def manifest(self) -> Manifest:
        """The manifest of an artifact without variants."""
        lm, scoring = self.options.head == "lm", self.plan.scoring
        packages = ("onnxrank", "onnx", "onnx-ir", "onnxruntime", "torch", "transformers")
        return Manifest(
            format=FORMAT,
            name=self.source.name,
            family=self.family.name,
            source=ManifestSource(id=self.source.id, revision=self.source.revision, licence=self.source.licence),
            made_with={"python": platform.python_version(), **{name: version(name) for name in packages}},
            options=self.options.recorded(),
            traced=self.plan.traced,
            scoring=replace(scoring, kv_cache=None) if lm else replace(scoring, readout=None),
            variants={},
            files={},
        )

    def add(self, name: str, manifest: Manifest, golden: Golden) -> Manifest:
        """Build, save, prove and evaluate one variant; return the manifest with it."""
        spec, plan = VARIANTS[name], self.plan.graphs
        portable = f"onnx/model{spec.suffix}.onnx"
        packed: str | None = None
        unpack: str | None = None
        exits = {str(layers): f"onnx/layers_{layers}{spec.suffix}.onnx" for layers in plan.exits}
        builders: dict[str, Callable[[], ir.Model]] = {portable: plan.portable}
        if self.options.head == "lm" and plan.vocabulary:
            builders[portable] = plan.vocabulary
        elif spec.packed and plan.packed:
            packed = f"onnx/packed{spec.suffix or '_fp32'}.onnx"
            builders[packed] = plan.packed
        builders |= {exits[str(layers)]: build for layers, build in plan.exits.items()}
        graphs = []
        kept: tuple[str, ...] = ()
        for path, build in builders.items():
            model = build()
            if self.vocabulary and not keep_rows(model, self.vocabulary.rows):
                raise UnsupportedError(
                    f"{path} has no table of the whole vocabulary that input_ids alone chooses from, for --scripts to "
                    "cut; leave --scripts out."
                )
            kept = apply_variant(
                model,
                name,
                block_size=self.options.block_size,
                method=self.options.method,
                embedding_bits=self.options.embedding_bits,
                exclude=EXACT,
                packed=path == packed,
            )
            graphs.append((self.folder / path, model))
        with self.progress(f"writing {name}", 1) as done:
            files = [path.relative_to(self.folder).as_posix() for path in save_graphs(graphs)]
            if packed and spec.weights == "q4":
                unpack = f"onnx/unpack{spec.suffix}.onnx"
                ir.save(unpack_graph(graphs[0][1]), self.folder / unpack)
                files.append(unpack)
            done(1)

        settings: dict[str, str | int | bool] = {}
        if spec.weights == "q4":
            settings = {
                "block_size": self.options.block_size,
                "method": self.options.method,
                "embedding_bits": self.options.embedding_bits,
            }
        variant = Variant(
            portable=portable,
            packed=packed,
            unpack=unpack,
            exits=exits,
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
        check_gates(name, verification)
        variant = replace(variant, parity=verification.parity, batch_effect=verification.batch_effect)
        manifest = replace(manifest, variants={**manifest.variants, name: variant})
        write_manifest(manifest, self.folder)
        if (self.source.folder / EVALUATION).is_file():
            variant = replace(variant, evaluation=evaluate(self.folder, name, self.source.folder / EVALUATION))
        return replace(manifest, variants={**manifest.variants, name: variant})

    def finish(self, manifest: Manifest) -> None:
        """The card, what other devices are compared with, then the manifest with the hash of every file."""
        config = self.checkpoint.config
        if self.vocabulary:
            config = self.vocabulary.renumber(config)
        write_config(config, manifest.variants, self.folder)
        write_device_check(self.folder, manifest)
        write_card(manifest, self.source.folder, self.folder)
        write_manifest(replace(manifest, files=self._files()), self.folder)

    def _files(self) -> dict[str, FileEntry]:
        paths = sorted(p for p in self.folder.rglob("*") if p.is_file() and p.name != MANIFEST)
        return {
            path.relative_to(self.folder).as_posix(): FileEntry(sha256=sha256(path), bytes=path.stat().st_size)
            for path in paths
        }


def find_family(name: str | None, checkpoint: Checkpoint) -> Family:
    """Return the family called `name`, or for None the one that the checkpoint certainly is of.

    Raises InputError if the name is unknown or there is no certainty, UnsupportedError if it comes in another
    architecture.
    """
    if name is None:
        found = [family for family in FAMILIES.values() if family.recognises(checkpoint)]
        if len(found) != 1:
            raise InputError(
                f"{checkpoint.folder.name} does not say which reranker it is; name it with --family "
                f"({', '.join(FAMILIES)})."
            )
        name = found[0].name
    if name not in FAMILIES:
        raise InputError(f"--family {name!r} is unknown; the families are {', '.join(FAMILIES)}.")
    family, model_type = FAMILIES[name], checkpoint.config.get("model_type")
    if model_type in family.never or (family.model_types and model_type not in family.model_types):
        raise UnsupportedError(
            f"config.json has model_type {model_type!r}, and family {name} comes as {family.comes_as()}; "
            "name the family this checkpoint belongs to."
        )
    return family


def _check_options(family: Family, options: FamilyOptions) -> None:
    for option in options.given():
        if option != "max_length" and option not in family.options:
            takes = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(family.options))
            raise InputError(
                f"family {family.name} takes no --{option.replace('_', '-')}"
                + (f", only {takes}; leave it out." if takes else "; leave it out.")
            )
