"""Makes what the engines need, unless it exists: environments, the full-size checkpoint, and its conversions."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.classifier import write_classifier
from benchmarks.engines import ARTIFACT, CHECKPOINT, CLASSIFIER, PEERS, Engine
from benchmarks.full_size import write_checkpoint

# By peer environment: the command that converts the checkpoint for it.
CONVERSIONS = {
    "llama-cpp": ("benchmarks.peers.gguf_files", CHECKPOINT),
    "openvino": ("benchmarks.peers.openvino_files", CLASSIFIER),
    "optimum": ("benchmarks.peers.optimum_files", CLASSIFIER),
}
REQUIREMENTS = Path("benchmarks/peers/requirements")


def prepare(engines: Iterable[Engine]) -> None:
    """Raises CalledProcessError if a step fails."""
    write_checkpoint(CHECKPOINT)
    write_classifier(CHECKPOINT, CLASSIFIER)
    export_ours()
    for name in sorted({engine.environment for engine in engines if engine.environment}):
        install(name)
        module, source = CONVERSIONS[name]
        _run(PEERS / name / "bin/python", "-m", module, source, PEERS / name / "models")


def export_ours() -> None:
    """Export int8 and q4 unless nothing has changed since."""
    if stale(ARTIFACT):
        _run(sys.executable, "-m", "benchmarks.export_full_size", "int8", "q4", "--out", ARTIFACT, "--keep")


def stale(artifact: Path) -> bool:
    """Return whether an artifact is missing, or older than the exporter's code."""
    manifest = artifact / "reranker.json"
    sources = [Path("runtime/artifact/manifest.py"), *Path("export").rglob("*.py"), *Path("quantize").rglob("*.py")]
    return not manifest.exists() or manifest.stat().st_mtime < max(path.stat().st_mtime for path in sources)


def install(name: str) -> None:
    """Make a peer's environment unless it has these requirements. Compiling llama.cpp takes minutes."""
    folder, requirements = PEERS / name, REQUIREMENTS / f"{name}.txt"
    installed = folder / "requirements.txt"
    if installed.exists() and installed.read_text() == requirements.read_text():
        return
    _run(sys.executable, "-m", "venv", "--clear", folder)
    # --no-deps: the lists are complete, and further dependencies of some packages break others; see the files.
    _run(folder / "bin/pip", "install", "-q", "--no-deps", "-r", requirements)
    installed.write_text(requirements.read_text())


def _run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)
