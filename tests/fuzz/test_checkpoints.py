"""Checkpoints with a damaged file: the export succeeds and its artifact scores, or one sentence says why not."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxrank.export.proof import oracle
from onnxrank.progress import Done
from tests.exports import score_here
from tests.fuzz.campaign import attempt, cases
from tests.fuzz.conftest import WRITERS
from tests.fuzz.damage import export_small, linked, score
from tests.fuzz.mutations import damaged, damaged_bytes

CONFIGS = ["config.json", "tokenizer_config.json"]
SENTENCE_TRANSFORMERS = ["modules.json", "config_sentence_transformers.json", "1_Dense/config.json"]


@pytest.fixture(autouse=True)
def oracle_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat errors of PyTorch as its separate process does, without its seconds of imports."""

    def ask(request: Any, done: Done) -> Any:
        try:
            return score_here(request, done)
        except Exception as error:
            raise oracle.OracleError(str(error).strip().splitlines()[-1:] or type(error).__name__) from error

    monkeypatch.setattr(oracle, "ask", ask)


def export_and_score(checkpoint: Path, family: str) -> None:
    out = checkpoint.parent / "artifact"
    export_small(checkpoint, out, family, force=True)
    score(out)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("family", WRITERS)
def test_damaged_configurations(checkpoints: dict[str, Path], tmp_path: Path, family: str, name: str) -> None:
    damage_json(checkpoints[family], tmp_path, family, name, short=5, share=1 / 20)


@pytest.mark.parametrize("family", ["qwen3-reranker", "mmbert-rerank"])
def test_damaged_tokenizers(checkpoints: dict[str, Path], tmp_path: Path, family: str) -> None:
    damage_json(checkpoints[family], tmp_path, family, "tokenizer.json", short=8, share=1 / 8)


@pytest.mark.parametrize("name", SENTENCE_TRANSFORMERS)
def test_damaged_modules(checkpoints: dict[str, Path], tmp_path: Path, name: str) -> None:
    damage_json(checkpoints["colbert"], tmp_path, "colbert", name, short=8, share=1 / 10)


def damage_json(checkpoint: Path, folder: Path, family: str, name: str, *, short: int, share: float) -> None:
    file = linked(checkpoint, folder / "checkpoint", without=name)

    @cases(short=short, share=share)
    @given(damaged(json.loads((checkpoint / name).read_text())))
    def check(content: bytes) -> None:
        file.write_bytes(content)
        attempt(f"{name} of checkpoints", lambda: export_and_score(folder / "checkpoint", family))

    check()


@pytest.mark.parametrize("name", ["model.safetensors", "1_Dense/model.safetensors"])
def test_damaged_weights(checkpoints: dict[str, Path], tmp_path: Path, name: str) -> None:
    checkpoint = checkpoints["colbert"]
    file = linked(checkpoint, tmp_path / "checkpoint", without=name)
    content = (checkpoint / name).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = content[8 : 8 + length], content[8 + length :]

    def with_header(new: bytes) -> bytes:
        return struct.pack("<Q", len(new)) + new + data

    lengths = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, length - 1, length + 1, 2**63])
    files = st.one_of(
        damaged(json.loads(header)).map(with_header),
        damaged_header(json.loads(header)).map(with_header),
        lengths.map(lambda n: struct.pack("<Q", n) + content[8:]),
        damaged_bytes(content),
    )

    @cases(short=10, share=1 / 8)
    @given(files)
    def check(damaged_file: bytes) -> None:
        file.write_bytes(damaged_file)
        attempt("safetensors", lambda: export_and_score(tmp_path / "checkpoint", "colbert"))

    check()


def damaged_header(header: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Return headers with another dtype, shape or place of one tensor."""
    names = [name for name in header if name != "__metadata__"]
    dtypes = ["BF16", "F16", "F64", "I8", "I64", "BOOL", "F8_E4M3", "F4", "C64", "f32", ""]
    numbers = st.sampled_from([0, 1, -1, 2**31, 2**62, 2**63, 2**64 - 1, 10**30]) | st.integers(0, 10_000)

    def with_field(field: str) -> Callable[[tuple[str, Any]], bytes]:
        return lambda change: json.dumps({**header, change[0]: {**header[change[0]], field: change[1]}}).encode()

    name = st.sampled_from(names)
    return st.one_of(
        st.tuples(name, st.sampled_from(dtypes)).map(with_field("dtype")),
        st.tuples(name, st.lists(numbers, max_size=4)).map(with_field("shape")),
        st.tuples(name, st.lists(numbers, min_size=2, max_size=2)).map(with_field("data_offsets")),
        st.tuples(name, name).map(lambda two: json.dumps({**header, two[0]: header[two[1]]}).encode()),
    )
