"""Tiny artifacts of every kind that is served."""

from pathlib import Path

from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import Options
from onnxrank.progress import progress
from tests.exports import write_checkpoint
from tests.tiny_families import TINY

RERANKERS = {
    "behind prefixes": "qwen3-reranker",
    "longest first": "bert",
    "encoded whole": "llama-nemotron-rerank",
}
LATE, EMBEDDER = "colbert, attending", "qwen3-embedding"


def export_served(name: str, folder: Path) -> Path:
    """Export a tiny checkpoint by its name in TINY, in float32."""
    tiny, out = TINY[name], folder / "artifact"
    checkpoint = write_checkpoint(folder / "checkpoint", tiny.write)
    options = Options(variants=("fp32",), family=tiny.options)
    export(locate(str(checkpoint)), out, family=tiny.family, options=options, force=False, progress=progress)
    return out
