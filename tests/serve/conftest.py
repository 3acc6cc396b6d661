"""A running server of the demo artifact, for all tests of this folder that only ask."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.live import Live, live


@pytest.fixture(scope="session")
def server(demo_artifact: Path) -> Iterator[Live]:
    """`onnxrank serve` with the demo reranker in float32, ready."""
    with live(demo_artifact, options=("--threads", "1", "--variant", "fp32")) as server:
        yield server
