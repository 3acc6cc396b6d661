"""Manifests with damaged fields: the artifact is opened and scores, or the sentence names the place."""

import json
from pathlib import Path

import pytest
from hypothesis import given

from onnxrank.artifact.manifest import MANIFEST
from tests.fuzz.campaign import attempt, cases
from tests.fuzz.conftest import WRITERS
from tests.fuzz.damage import linked, score
from tests.fuzz.mutations import damaged


@pytest.mark.parametrize("family", WRITERS)
def test_damaged_manifests(artifacts: dict[str, Path], tmp_path: Path, family: str) -> None:
    manifest = linked(artifacts[family], tmp_path / "artifact", without=MANIFEST)

    @cases(short=25, share=1 / len(WRITERS))
    @given(damaged(json.loads((artifacts[family] / MANIFEST).read_text())))
    def check(content: bytes) -> None:
        manifest.write_bytes(content)
        attempt("manifests", lambda: score(manifest.parent))

    check()
