"""Keys and values that come from a file: when they are used, and a file that cannot be used."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxrank import Reranker
from onnxrank.artifact.manifest import MANIFEST, KeyValueCache, read_manifest
from onnxrank.artifact.opening import sha256
from onnxrank.engine.past_file import PastFile
from onnxrank.engine.prefix import CACHED_TOKENS, PrefixCache
from onnxrank.errors import ArtifactError

PAIRS = [("sort an array", f"document {i} " * i) for i in range(1, 6)]
SHAPE = KeyValueCache(layers=1, heads=2, head_dim=3)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The pieces whose keys and values a graph computes."""
    found: list[tuple[int, ...]] = []
    extend = PrefixCache._extend

    def counted(self: PrefixCache, past: Any, token_ids: tuple[int, ...], runner: Any) -> Any:
        found.append(token_ids)
        return extend(self, past, token_ids, runner)

    monkeypatch.setattr(PrefixCache, "_extend", counted)
    return found


@pytest.fixture
def copy(demo_artifact: Path, tmp_path: Path) -> Path:
    """An artifact to be damaged."""
    return Path(shutil.copytree(demo_artifact, tmp_path / "artifact"))


def stored_ids(folder: Path) -> tuple[int, ...]:
    past = read_manifest(folder).variants["int8"].past
    assert past
    return past.token_ids


def test_the_default_instruction_is_never_computed(demo_artifact: Path, computed: list[tuple[int, ...]]) -> None:
    reranker = Reranker(demo_artifact, variant="int8")
    long = "word " * CACHED_TOKENS
    for query in ("sort an array", long, "the average"):
        reranker.predict([(query, "word " * i) for i in range(12)])
    assert len(computed) == 3 and stored_ids(demo_artifact) not in computed


def test_another_instruction_is(demo_artifact: Path, computed: list[tuple[int, ...]]) -> None:
    reranker = Reranker(demo_artifact, variant="int8")
    reranker.predict(PAIRS, instruction="Find the function that does this")
    assert len(computed) == 2
    reranker.predict(PAIRS)
    assert len(computed) == 3 and stored_ids(demo_artifact) not in computed


def test_float32_computes_its_own(demo_artifact: Path, computed: list[tuple[int, ...]]) -> None:
    Reranker(demo_artifact, variant="fp32").predict(PAIRS)
    assert stored_ids(demo_artifact) in computed


def test_copies_read_the_file_again(demo_artifact: Path, computed: list[tuple[int, ...]]) -> None:
    reranker = Reranker(demo_artifact, variant="int8", threads=2)
    expected = reranker.predict(PAIRS)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reranker)).predict(PAIRS), expected)
    reranker.close()
    np.testing.assert_array_equal(reranker.predict(PAIRS), expected)
    assert stored_ids(demo_artifact) not in computed


def test_the_layout(tmp_path: Path) -> None:
    values = np.arange(24, dtype="<f2").reshape(1, 2, 2, 2, 3)
    (tmp_path / "past").write_bytes(values.tobytes())
    found = PastFile(path=tmp_path / "past", token_ids=(5, 6)).read(SHAPE)
    assert list(found) == ["past_key_values.0.key", "past_key_values.0.value"]
    for array, expected in zip(found.values(), values[0], strict=True):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, expected)


def test_a_file_of_another_size_is_refused(copy: Path) -> None:
    past = read_manifest(copy).variants["int8"].past
    assert past
    path = copy / past.file
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ArtifactError, match=r"fixed_past\.bin is not the file that was exported"):
        Reranker(copy, variant="int8")
    data = json.loads((copy / MANIFEST).read_text())
    data["files"][past.file] = {"sha256": sha256(path), "bytes": path.stat().st_size}
    (copy / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(ArtifactError, match=r"has \d+ bytes, and the keys and values of \d+ tokens take \d+; export"):
        Reranker(copy, variant="int8").predict(PAIRS)


def test_a_file_that_is_gone_is_named(copy: Path) -> None:
    reranker = Reranker(copy, variant="int8")
    (copy / "onnx" / "fixed_past.bin").unlink()
    with pytest.raises(ArtifactError, match=r"fixed_past\.bin cannot be read \(No such file or directory\); export or"):
        reranker.predict(PAIRS)
