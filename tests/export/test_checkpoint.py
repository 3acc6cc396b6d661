import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from onnxrank.errors import CheckpointError
from onnxrank.export.checkpoint import Checkpoint

VALUES = np.arange(-6, 6, dtype=np.float32).reshape(4, 3) / 4


def write(folder: Path, dtype: type = np.float32, *, shards: bool = False) -> Path:
    tensors: dict[str, NDArray[Any]] = {"a.weight": VALUES.astype(dtype), "b.weight": (VALUES * 2).astype(dtype)}
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3"}))
    if shards:
        names = {name: f"model-{i}-of-2.safetensors" for i, name in enumerate(tensors, 1)}
        for name, file in names.items():
            save_file({name: tensors[name]}, folder / file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    else:
        save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_every_layout_and_dtype_reads_as_float32(tmp_path: Path, dtype: type, shards: bool) -> None:
    checkpoint = Checkpoint.open(write(tmp_path, dtype, shards=shards))
    assert checkpoint.tensor("b.weight").dtype == np.float32
    np.testing.assert_array_equal(checkpoint.tensor("b.weight"), VALUES * 2)
    np.testing.assert_array_equal(checkpoint.rows("a.weight", [3, 1]), VALUES[[3, 1]])
    checkpoint.require("a.weight", (4, 3))


def _only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _leave_the_folder(folder: Path) -> None:
    index = {"weight_map": {"a.weight": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _lose_a_shard(folder: Path) -> None:
    index = {"weight_map": {"a.weight": "model-9.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _cut(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-20])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "is no JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "holds a list, not an object"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
        (_only_a_pickle, "pytorch_model.bin, a pickle, which could run code and is never opened"),
        (_leave_the_folder, "a path outside the folder"),
        (_lose_a_shard, "model-9.safetensors is missing"),
        (_cut, "model.safetensors is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, damage: Callable[[Path], object], sentence: str) -> None:
    damage(write(tmp_path))
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(tmp_path)
    assert sentence in str(caught.value)


def test_missing_misshapen_and_integer_tensors_are_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(write(tmp_path, np.int64))
    with pytest.raises(CheckpointError, match=r"no tensor 'a\.weights' \(the nearest name is 'a\.weight'\)"):
        checkpoint.require("a.weights", (4, 3))
    with pytest.raises(CheckpointError, match=r"has shape \[4, 3\], and config.json makes it \[3, 4\]"):
        checkpoint.require("a.weight", (3, 4))
    with pytest.raises(CheckpointError, match="is I64, and BF16, F16, F32 can be read"):
        checkpoint.require("a.weight", (4, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(tmp_path: Path, value: float) -> None:
    write(tmp_path)
    save_file({"a.weight": np.array([[1.0, value]], np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"'a\.weight' in .*model\.safetensors holds NaN or infinity"):
        Checkpoint.open(tmp_path).tensor("a.weight")
