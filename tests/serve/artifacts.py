"""Tiny artifacts of every kind that is served."""

from pathlib import Path

from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import TINY

RERANKERS = {
    "behind prefixes": "qwen3-reranker",
    "longest first": "bert",
    "encoded whole": "llama-nemotron-rerank",
}
LATE, EMBEDDER = "colbert, attending", "qwen3-embedding"


def export_served(name: str, folder: Path) -> Path:
    """Export a tiny checkpoint by its name in TINY, in float32."""
    tiny = TINY[name]
    checkpoint = write_checkpoint(folder / "checkpoint", tiny.write)
    export_tiny(checkpoint, folder / "artifact", family=tiny.family, **tiny.options.given())
    return folder / "artifact"
