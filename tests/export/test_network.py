"""Facts published about the real models; for machines that reach the hub: `pytest -m network`."""

from pathlib import Path

import pytest

from onnxrank import Reranker
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import Options
from onnxrank.progress import progress

pytestmark = pytest.mark.network


def test_qwen3_reranker_gives_its_published_scores(tmp_path: Path) -> None:
    options = Options(variants=("fp32",))
    export(locate("qwen3-reranker"), tmp_path / "out", family=None, options=options, force=False, progress=progress)
    pairs = [
        ("What is the capital of China?", "The capital of China is Beijing."),
        (
            "Explain gravity",
            "Gravity is a force that attracts two bodies towards each other. It gives weight to physical objects and "
            "is responsible for the movement of planets around the sun.",
        ),
    ]
    # Published with four digits.
    assert Reranker(tmp_path / "out").predict(pairs).tolist() == pytest.approx([0.9995, 0.9972], abs=1e-4)
