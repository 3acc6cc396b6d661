"""Exports a checkpoint to an artifact: first the oracle's scores, then graphs, proof and manifest."""

import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from tokenizers import Tokenizer

from onnxrank.artifact.golden import Golden, write_golden
from onnxrank.artifact.manifest import (
    FORMAT,
    MANIFEST,
    FileEntry,
    Manifest,
    Source,
    Variant,
    read_manifest,
    write_manifest,
)
from onnxrank.artifact.opening import TOKENIZER, Artifact, sha256
from onnxrank.artifact.variants import PRECISIONS
from onnxrank.engine.device import onnxruntime
from onnxrank.errors import InputError, LossError, ParityError
from onnxrank.export.artifact.card import write_card
from onnxrank.export.artifact.device_check import write_device_check
from onnxrank.export.artifact.fixed_past import fixed_token_ids, write_past
from onnxrank.export.artifact.staging import staged_artifact
from onnxrank.export.artifact.transformers_js import write_config
from onnxrank.export.artifact.variant_files import write_variant
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.sources import CheckpointSource
from onnxrank.export.checkpoint.tokenizer import read_tokenizer, settings
from onnxrank.export.checkpoint.vocabulary import Vocabulary
from onnxrank.export.families.detection import check_options, find_family
from onnxrank.export.families.family import Family, Plan
from onnxrank.export.options import Options
from onnxrank.export.proof.calibration import calibration_pairs, hessians_of
from onnxrank.export.proof.evaluation import evaluate_labels
from onnxrank.export.proof.golden_pairs import EVALUATION, golden_pairs
from onnxrank.export.proof.oracle import measure_sensitivity, record
from onnxrank.export.proof.remedies import remedy
from onnxrank.export.proof.token_ids import with_fitting_prompt
from onnxrank.export.scratch import scratch
from onnxrank.proof.verification import Verification, check_gates, excess_loss, steps, verify_variant
from onnxrank.quantize.hessians import Hessians

# progress(label, total) returns a function that reports how many more are done.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One export whose checkpoint and options have been checked against each other.

    vocabulary: the tokens to keep; None for all. calibration: the pairs (query, document) on which the weights' effect
    is measured.
    """

    source: CheckpointSource
    options: Options
    checkpoint: Checkpoint
    family: Family
    tokenizer: Tokenizer
    plan: Plan
    vocabulary: Vocabulary | None
    calibration: Sequence[tuple[str, str]]


def export(
    source: CheckpointSource,
    out: Path,
    *,
    family: str | None,
    options: Options,
    force: bool,
    progress: Progress,
    left_out: Callable[[str, str], None] | None = None,
) -> Manifest:
    """Write the artifact folder `out` and return its manifest.

    source: from `locate`. family: its name, or None to take the alias's family or detect it from the checkpoint.
    left_out(variant, reason) is called for each variant that does not score like PyTorch, which is then left out; None
    refuses the whole export. Raises a RerankError, also if no variant is left, and then leaves `out` unchanged.
    """
    with staged_artifact(out, force=force) as folder, tempfile.TemporaryDirectory(dir=scratch()) as moments:
        job = prepare(source, family, options)
        write_texts(job, folder)
        golden = record_golden(job, folder, progress)
        artifact = Artifact(folder=folder, manifest=empty_manifest(job))
        artifact = with_fitting_prompt(artifact, golden, job.source.folder)
        hessians = measure_hessians(job, Path(moments), progress)
        for i, variant in enumerate(options.variants, 1):
            try:
                artifact = add_variant(job, artifact, golden, variant, hessians, progress)
            except ParityError as error:
                if left_out is None or (i == len(options.variants) and not artifact.manifest.variants):
                    raise
                left_out(variant, str(error))
        finish(job, artifact)
    return read_manifest(out)


def prepare(source: CheckpointSource, family: str | None, options: Options) -> Job:
    """Check everything that can be checked before PyTorch runs, which takes minutes. Raises a RerankError."""
    onnxruntime()  # raises BackendError if it is not installed
    checkpoint = Checkpoint.open(source.folder)
    chosen = find_family(family or source.family, checkpoint)
    check_options(chosen, options.family)
    tokenizer = read_tokenizer(source.folder)
    plan = chosen.plan(checkpoint, tokenizer, options.family)
    if options.head == "lm" and plan.graphs.vocabulary is None:
        raise InputError(f"--head lm is for causal language models, and family {chosen.name} is not one.")
    if options.calibration and not any(options.calibrates(PRECISIONS[name]) for name in options.variants):
        raise InputError(
            f"--calibration {options.calibration} would not be read: only int8 and q4 by gptq measure on texts, "
            "without --quality fast; leave it out."
        )
    calibration = calibration_pairs(options.calibration)
    vocabulary: Vocabulary | None = None
    if options.scripts:
        if options.head == "lm":
            raise InputError("--head lm reads out the vocabulary that --scripts cuts; leave one of the two out.")
        vocabulary = Vocabulary.of(checkpoint, plan.scoring, options.scripts)
        plan = replace(plan, scoring=vocabulary.scoring(plan.scoring))
    if not plan.traced:
        # This reads no weights; it checks the configuration and every tensor's shape.
        for build in (plan.graphs.padded, *plan.graphs.exits.values()):
            build()
    return Job(
        source=source,
        options=options,
        checkpoint=checkpoint,
        family=chosen,
        tokenizer=tokenizer,
        plan=plan,
        vocabulary=vocabulary,
        calibration=calibration,
    )


def write_texts(job: Job, folder: Path) -> None:
    """Write the tokenizer's files."""
    for name in (TOKENIZER, "special_tokens_map.json", "chat_template.jinja"):
        if (job.source.folder / name).is_file():
            shutil.copyfile(job.source.folder / name, folder / name)
    # Other loaders truncate to model_max_length, and the graph has no positions beyond max_length.
    content = {**settings(job.checkpoint), "model_max_length": job.plan.scoring.max_length}
    if job.vocabulary:
        content = job.vocabulary.renumber(content)
        text = json.dumps(job.vocabulary.tokenizer, ensure_ascii=False)
        (folder / TOKENIZER).write_text(text, encoding="utf-8")
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")


def record_golden(job: Job, folder: Path, progress: Progress) -> Golden:
    """Write and return PyTorch's scores of the unmodified checkpoint, before any graph is built."""
    max_length = job.plan.scoring.max_length
    pairs = golden_pairs(
        job.tokenizer,
        job.source.folder,
        max_length=max_length,
        proof_length=min(job.options.proof_length, max_length),
    )
    with progress("PyTorch scores", len(pairs)) as done:
        golden = record(
            str(job.source.folder),
            family=job.family.name,
            pairs=pairs,
            options=job.options.recorded(),
            done=done,
        )
    write_golden(golden, folder)
    return golden


def empty_manifest(job: Job) -> Manifest:
    """Return the manifest of an artifact without variants."""
    scoring = job.plan.scoring
    packages = ("onnxrank", "onnx", "onnx-ir", "onnxruntime", "torch", "transformers")
    return Manifest(
        format=FORMAT,
        name=job.source.name,
        family=job.family.name,
        source=Source(id=job.source.id, revision=job.source.revision, licence=job.source.licence),
        made_with={"python": platform.python_version(), **{name: version(name) for name in packages}},
        options=job.options.recorded(),
        traced=job.plan.traced,
        scoring=replace(scoring, kv_cache=None) if job.options.head == "lm" else replace(scoring, readout=None),
        variants={},
        files={},
    )


def measure_hessians(job: Job, folder: Path, progress: Progress) -> Callable[[], Hessians]:
    """Measure how much the score depends on each weight, if a variant needs it; return what makes a graph's Hessians,
    which reads the files that this writes to `folder`.

    A traced graph has other weights than the checkpoint.
    """
    if job.plan.traced or not any(job.options.calibrates(PRECISIONS[name]) for name in job.options.variants):
        return Hessians
    with progress("measuring the weights' effect", len(job.calibration)) as done:
        files = measure_sensitivity(
            job.source.folder,
            family=job.family.name,
            options=job.options.recorded(),
            pairs=job.calibration,
            out=folder,
            done=done,
        )
    return hessians_of(job.checkpoint, files)


def add_variant(
    job: Job, artifact: Artifact, golden: Golden, name: str, hessians: Callable[[], Hessians], progress: Progress
) -> Artifact:
    """Build, save, verify and evaluate one variant; return the artifact with it.

    Raises ParityError, after deleting its files, if it does not score like PyTorch, and LossError if it loses more than
    it may and the options do not accept that.
    """
    with progress(f"writing {name}", 1) as done:
        variant = write_variant(artifact.folder, name, job.plan.graphs, job.options, job.vocabulary, hessians)
        if variant.prefix and PRECISIONS[name].weight_bits < 32:
            variant = with_past(job, artifact, variant)
        done(1)
    artifact = with_files(artifact)
    with progress(f"proving {name}", steps(variant, golden)) as done:
        verification = verify_variant(artifact, variant, golden, done=done)
    try:
        loses = judge(name, verification, job.options)
    except ParityError:
        others = {file for other in artifact.manifest.variants.values() for file in other.files}
        for file in set(variant.files) - others:
            (artifact.folder / file).unlink()
        raise
    variant = verification.recorded(variant, accepted_loss=loses)

    def added() -> Artifact:
        variants = {**artifact.manifest.variants, name: variant}
        return replace(artifact, manifest=replace(artifact.manifest, variants=variants))

    # Labelled candidates are pairs: an embedding model does not score them.
    if artifact.manifest.scoring.prompt and (job.source.folder / EVALUATION).is_file():
        evaluation = evaluate_labels(added(), name, job.source.folder / EVALUATION)
        variant = replace(variant, evaluation=evaluation)
    return added()


def with_past(job: Job, artifact: Artifact, variant: Variant) -> Variant:
    """Return the variant with the float32 keys and values of the prompt's fixed part, which all variants share."""
    shape, token_ids = artifact.manifest.scoring.kv_cache, fixed_token_ids(artifact)
    if not token_ids:
        return variant
    past = next((other.past for other in artifact.manifest.variants.values() if other.past), None)
    if past is None:
        assert job.plan.graphs.prefix and shape
        past = write_past(artifact.folder, job.plan.graphs.prefix, shape, token_ids, job.vocabulary)
    return replace(variant, past=past, files=(*variant.files, past.file)) if past else variant


def judge(name: str, verification: Verification, options: Options) -> bool:
    """Return whether a variant loses more than it should, which the options then accept; see `add_variant`."""
    try:
        check_gates(name, verification)
    except ParityError as error:
        raise ParityError(f"{str(error).removesuffix('.')}; {remedy(name, options, lossy=False)}") from error
    loss = excess_loss(name, verification)
    if loss and not options.accept_loss:
        raise LossError(f"{loss}; {remedy(name, options, lossy=True)}")
    return loss is not None


def finish(job: Job, artifact: Artifact) -> None:
    """Write the card, device_check.json, and then the manifest with the hash of every file."""
    config = job.checkpoint.config
    if job.vocabulary:
        config = job.vocabulary.renumber(config)
    write_config(config, artifact.manifest.variants, artifact.folder)
    write_device_check(artifact)
    write_card(artifact.manifest, job.source.folder, artifact.folder)
    write_manifest(with_files(artifact).manifest, artifact.folder)


def with_files(artifact: Artifact) -> Artifact:
    """Return the artifact with the size and hash of every file; each file is hashed once."""
    known = artifact.manifest.files
    paths = sorted(p for p in artifact.folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    files = {}
    for path in paths:
        name = path.relative_to(artifact.folder).as_posix()
        files[name] = known.get(name) or FileEntry(sha256=sha256(path), bytes=path.stat().st_size)
    return replace(artifact, manifest=replace(artifact.manifest, files=files), checked=set(files))
