"""Our export of a checkpoint, and ONNX Runtime's own quantizers on our float32 graph; the classes that ship score."""

import subprocess
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import onnxruntime

from benchmarks.fidelity.onnxruntime_files import QUANTIZERS, quantized
from benchmarks.fidelity.scores import Engine, Score
from benchmarks.fidelity.subject import Subject, hashed
from onnxrank import LateInteraction, Reranker
from onnxrank.artifact.opening import Artifact, open_artifact

FOLDER = Path("build/fidelity-artifacts")
VARIANTS = ("fp32", "int8", "q4")
PADDED = ", padded graph"
NAMES = (
    *(f"onnxrank {variant}" for variant in VARIANTS),
    *(f"onnxrank {variant}{PADDED}" for variant in VARIANTS[1:]),
    *QUANTIZERS,
)
COMMAND = "from onnxrank.export.main import main; main()"
# What an artifact depends on, and what its scores depend on.
EXPORT_SOURCES = ("export", "quantize", "runtime/artifact")
SCORING_SOURCES = ("runtime/artifact", "runtime/text", "runtime/engine")


def engines(subject: Subject, wanted: Container[str], options: Sequence[str]) -> Iterator[Engine]:
    """Yield those that are wanted. options: of `export-model`; the names of our engines show them."""
    if not any(name in wanted for name in NAMES):
        return
    artifact = _exported(subject, options)
    label = " ".join(["", *options])
    for name, variant in artifact.manifest.variants.items():
        if f"onnxrank {name}" in wanted:
            yield _engine(subject, f"onnxrank {name}{label}", artifact, name)
        # An encoder has no other graph.
        if variant.prefix and f"onnxrank {name}{PADDED}" in NAMES and f"onnxrank {name}{PADDED}" in wanted:
            manifest = replace(artifact.manifest, variants={name: replace(variant, prefix=None, requantize=None)})
            yield _engine(subject, f"onnxrank {name}{PADDED}{label}", replace(artifact, manifest=manifest), name)
    for name in QUANTIZERS:
        if name in wanted and "fp32" in artifact.manifest.variants:
            folder = FOLDER / f"{subject.name}, {name}"
            key = hashed(artifact.identity(artifact.manifest.variants["fp32"]), QUANTIZERS[name].settings)
            _unless_same(folder, key, partial(quantized, artifact, name, folder))
            yield _engine(subject, name, open_artifact(folder), "fp32")


def _exported(subject: Subject, options: Sequence[str]) -> Artifact:
    """Return our artifact; it is exported unless nothing has changed since."""
    folder = FOLDER / subject.name
    command = [sys.executable, "-c", COMMAND, str(subject.folder), "--out", str(folder), "--force"]
    # How much a variant loses is what is measured here.
    command += ["--accept-loss", "--keep-passing", *(f"--{variant}" for variant in VARIANTS), *options]

    def export() -> None:
        subprocess.run(command, check=True, stdout=sys.stderr)

    _unless_same(folder, hashed(subject.identity, command, _sources(EXPORT_SOURCES)), export)
    return open_artifact(folder)


def _unless_same(folder: Path, key: str, write: Callable[[], None]) -> None:
    """Write a folder unless it was written with the same key."""
    kept = folder.with_name(f"{folder.name}.key")
    if not (folder.exists() and kept.exists() and kept.read_text() == key):
        kept.unlink(missing_ok=True)
        write()
        kept.write_text(key)


def _sources(folders: Sequence[str]) -> str:
    return hashed(*(path.read_text(encoding="utf-8") for name in folders for path in sorted(Path(name).rglob("*.py"))))


def _engine(subject: Subject, name: str, artifact: Artifact, variant: str) -> Engine:
    files = artifact.manifest.variants[variant]
    own = QUANTIZERS[name].settings if name in QUANTIZERS else "prefix graph" if files.prefix else "padded graph"
    # The weights are in files of their own unless the model is tiny.
    weights = [artifact.folder / file for file in files.files if not file.endswith(".onnx")] or [
        artifact.folder / files.padded
    ]
    return Engine(
        name=name,
        settings=f"ONNX Runtime {onnxruntime.__version__}, {own}",
        identity=hashed(artifact.identity(files), _sources(SCORING_SOURCES)),
        megabytes=sum(path.stat().st_size for path in weights) / 1e6,
        open=partial(_open, artifact, variant, subject),
    )


@contextmanager
def _open(artifact: Artifact, variant: str, subject: Subject, queries: range) -> Iterator[Score]:
    if artifact.manifest.scoring.opened_with == "Reranker":
        with Reranker(artifact, variant=variant) as reranker:

            def score(query: int) -> list[float]:
                found = subject.candidates[query]
                pairs = [(found.query, document) for document in found.documents]
                return list(map(float, reranker.score(pairs, show_progress_bar=False).logits))

            yield score
    else:
        with LateInteraction(artifact, variant=variant) as model:

            def score_late(query: int) -> list[float]:
                found = subject.candidates[query]
                ranked = model.rank(found.query, found.documents, show_progress_bar=False)
                scores = {entry["corpus_id"]: float(entry["score"]) for entry in ranked}
                return [scores[i] for i in range(len(found.documents))]

            yield score_late
