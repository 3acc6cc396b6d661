"""Artifacts and checkpoints to be damaged, and the table at the end of the long form."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from onnxrank.engine import device
from tests.exports import write_checkpoint
from tests.fuzz import campaign
from tests.fuzz.damage import export_small
from tests.tiny_families import bert, colbert, mmbert, qwen3_embedding, qwen3_reranker

WRITERS: dict[str, Callable[[Path], object]] = {
    "qwen3-reranker": qwen3_reranker,
    "mmbert-rerank": mmbert,
    "colbert": colbert,
    "qwen3-embedding": qwen3_embedding,
    "cross-encoder": bert,
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not campaign.is_long():
        return
    table = campaign.rows()
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    terminalreporter.write_line("")
    for row in table:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        terminalreporter.write_line("  ".join([row[0].ljust(widths[0]), *cells]))


@pytest.fixture(autouse=True, scope="module")
def one_core() -> Iterator[None]:
    """Compute on one core: for tiny models, threads take longer than the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "usable_cores", lambda: 1)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny checkpoint of some families; read only."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return {family: write_checkpoint(folder / family, write) for family, write in WRITERS.items()}


@pytest.fixture(scope="session")
def artifacts(checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Their artifacts; read only."""
    folder = tmp_path_factory.mktemp("artifacts")
    for family, checkpoint in checkpoints.items():
        export_small(checkpoint, folder / family, family)
    return {family: folder / family for family in checkpoints}
