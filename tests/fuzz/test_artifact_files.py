"""An artifact's tokenizer.json and golden.json, whose hashes in the manifest are those of the damaged files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from onnxrank.artifact.golden import read_golden
from onnxrank.artifact.manifest import GOLDEN
from onnxrank.artifact.opening import TOKENIZER, open_artifact
from onnxrank.proof.verification import check_gates, verify_variant
from tests.fuzz.campaign import attempt, cases
from tests.fuzz.conftest import WRITERS
from tests.fuzz.damage import linked, score
from tests.fuzz.mutations import damaged


@pytest.mark.parametrize("family", WRITERS)
def test_damaged_tokenizers(artifacts: dict[str, Path], tmp_path: Path, family: str) -> None:
    file = linked(artifacts[family], tmp_path / "artifact", without=TOKENIZER)
    artifact = replace(open_artifact(file.parent), checked={TOKENIZER})

    @cases(short=15, share=1 / len(WRITERS))
    @given(damaged(json.loads((artifacts[family] / TOKENIZER).read_text())))
    def check(content: bytes) -> None:
        file.write_bytes(content)
        attempt("tokenizer.json of artifacts", lambda: score(artifact))

    check()


@pytest.mark.parametrize("family", WRITERS)
def test_damaged_golden_scores(artifacts: dict[str, Path], tmp_path: Path, family: str) -> None:
    file = linked(artifacts[family], tmp_path / "artifact", without=GOLDEN)
    artifact = replace(open_artifact(file.parent), checked={TOKENIZER, GOLDEN})
    (variant,) = artifact.manifest.variants.values()
    data = json.loads((artifacts[family] / GOLDEN).read_text())
    data["pairs"] = data["pairs"][:3]

    def verify() -> None:
        check_gates("fp32", verify_variant(artifact, variant, read_golden(artifact.folder), threads=1))

    @cases(short=15, share=1 / len(WRITERS))
    @given(damaged(data))
    def check(content: bytes) -> None:
        file.write_bytes(content)
        attempt("golden.json", verify)

    check()
