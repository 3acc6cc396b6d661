import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

from onnxrank.errors import CheckpointError, UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint

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


def _only_a_pickle(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "model.safetensors").rename(folder / name)


def _index(weight_map: Any) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return replace


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
        (_only_a_pickle("pytorch_model.bin"), "pytorch_model.bin cannot be read as weights alone, and is not run"),
        (_only_a_pickle("model.pth"), "model.pth, a pickle, which could run code and is not opened"),
        (_index({"a.weight": "../model.safetensors"}), "'../model.safetensors', which is no plain file name"),
        (_index({"a.weight": "..\\model.safetensors"}), "which is no plain file name"),
        (_index({"a.weight": "/model.safetensors"}), "which is no plain file name"),
        (_index({"a.weight": "model-9.safetensors"}), "model-9.safetensors is missing"),
        (_index({"a.weight": 9}), "index.json has no weight_map of file names"),
        (_index(["a.weight"]), "index.json has no weight_map of file names"),
        (_index({}), "index.json has no weight_map of file names"),
        (_cut, "model.safetensors is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_one_sentence(tmp_path: Path, damage: Callable[[Path], object], sentence: str) -> None:
    damage(write(tmp_path))
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(tmp_path)
    assert sentence in str(caught.value)


def write_pickles(folder: Path, *, shards: bool) -> Path:
    """Write the layout of transformers before safetensors."""
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3"}))
    tensors = {"a.weight": torch.from_numpy(VALUES), "b.weight": torch.from_numpy(VALUES * 2).bfloat16()}
    if shards:
        names = {name: f"pytorch_model-0000{i}-of-00002.bin" for i, name in enumerate(tensors, 1)}
        for name, file in names.items():
            torch.save({name: tensors[name]}, folder / file)
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": names}))
    else:
        torch.save(tensors, folder / "pytorch_model.bin")
    return folder


@pytest.mark.parametrize("shards", [False, True])
def test_pickles_of_transformers_are_read_as_weights_alone(tmp_path: Path, shards: bool) -> None:
    checkpoint = Checkpoint.open(write_pickles(tmp_path, shards=shards))
    np.testing.assert_array_equal(checkpoint.tensor("b.weight"), VALUES * 2)
    np.testing.assert_array_equal(checkpoint.rows("a.weight", [3, 1]), VALUES[[3, 1]])
    with pytest.raises(CheckpointError, match=r"/pytorch_model\.bin.* has no tensor 'c'"):
        checkpoint.tensor("c")


class Opens:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    write_pickles(tmp_path, shards=False)
    torch.save({"a.weight": Opens(tmp_path / "ran")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin cannot be read as weights alone, and is not run"):
        Checkpoint.open(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "base"),
    [
        ('{"base_model_name_or_path": "BAAI/bge-reranker-v2-m3"}', r"BAAI/bge-reranker-v2-m3"),
        ("{", r"a model that its adapter_config\.json does not name"),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_an_adapter_names_its_model_and_how_to_merge_it(tmp_path: Path, content: str, base: str, whole: bool) -> None:
    if whole:  # transformers would add the adapter to these weights
        write(tmp_path)
    (tmp_path / "adapter_config.json").write_text(content)
    save_file({"a.lora_A.weight": VALUES}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(UnsupportedError, match=rf"adapter \(LoRA\) for {base}, not a .*merge_and_unload\(\)\.save_pre"):
        Checkpoint.open(tmp_path)


def test_gguf_is_one_sentence_unless_safetensors_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "model-q8_0.gguf").write_bytes(b"GGUF")
    with pytest.raises(UnsupportedError, match=r"model-q8_0\.gguf is GGUF, .*export the original checkpoint"):
        Checkpoint.open(tmp_path)
    assert Checkpoint.open(write(tmp_path)).tensors


def test_the_single_file_is_read_where_both_layouts_exist(tmp_path: Path) -> None:
    write(tmp_path, shards=True)
    save_file({"a.weight": VALUES + 1}, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(Checkpoint.open(tmp_path).tensor("a.weight"), VALUES + 1)


READS: list[Callable[[Checkpoint, str], object]] = [
    lambda checkpoint, name: checkpoint.require(name, (4, 3)),
    lambda checkpoint, name: checkpoint.tensor(name),
    lambda checkpoint, name: checkpoint.rows(name, [0]),
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    ("shards", "file"), [(False, r"model\.safetensors"), (True, r"model\.safetensors\.index\.json")]
)
def test_a_missing_tensor_is_named_with_its_file(
    tmp_path: Path, read: Callable[[Checkpoint, str], object], shards: bool, file: str
) -> None:
    checkpoint = Checkpoint.open(write(tmp_path, shards=shards))
    sentence = rf"/{file} has no tensor 'a\.weights' \(the nearest name is 'a\.weight'\)"
    with pytest.raises(CheckpointError, match=sentence):
        read(checkpoint, "a.weights")


@pytest.mark.parametrize("read", READS)
def test_integers_are_refused(tmp_path: Path, read: Callable[[Checkpoint, str], object]) -> None:
    checkpoint = Checkpoint.open(write(tmp_path, np.int64))
    with pytest.raises(CheckpointError, match=r"'a\.weight' in .* is I64, and BF16, F16, F32 can be read"):
        read(checkpoint, "a.weight")


def test_a_tensor_that_its_shard_lacks_is_looked_for_there(tmp_path: Path) -> None:
    write(tmp_path, shards=True)
    save_file({"other": VALUES}, tmp_path / "model-2-of-2.safetensors")
    with pytest.raises(CheckpointError, match=r"/model-2-of-2\.safetensors has no tensor 'b\.weight'"):
        Checkpoint.open(tmp_path).require("b.weight", (4, 3))


def test_a_wrong_shape_and_a_missing_row_are_named(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(write(tmp_path))
    with pytest.raises(CheckpointError, match=r"has shape \[4, 3\], and config.json makes it \[3, 4\]"):
        checkpoint.require("a.weight", (3, 4))
    with pytest.raises(CheckpointError, match=r"'a\.weight' in .* has 4 rows, and row 4 is asked for"):
        checkpoint.rows("a.weight", [0, 4])


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ('{"hidden_size": "64"}', "sets hidden_size to '64', and it has to be an integer from 1 to"),
        ('{"hidden_size": null}', "sets hidden_size to None"),
        ('{"rope_theta": NaN}', "sets rope_theta to nan, and it has to be a number"),
        ('{"architectures": "Qwen3"}', "sets architectures to 'Qwen3', and it has to be a list of texts"),
        ('{"a": ' * 20_000, "is nested too deeply"),
        ("{}", "config.json does not set hidden_size"),
        ('{"tokenizer_class": "\\ud800"}', "is no JSON ('utf-8' codec can't encode character"),
    ],
)
def test_fields_of_the_wrong_type_are_named(tmp_path: Path, config: str, sentence: str) -> None:
    write(tmp_path)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(tmp_path).config["hidden_size"]
    assert sentence in str(caught.value)


def test_a_file_that_is_cut_after_opening_is_damaged(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(write(tmp_path))
    _cut(tmp_path)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
        checkpoint.tensor("a.weight")


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("values", [[1.0, np.nan], [1.0, np.inf], [np.inf, -np.inf]])
def test_nan_and_infinity_are_refused(tmp_path: Path, values: list[float], dtype: type) -> None:
    write(tmp_path)
    save_file({"a.weight": np.array([values], dtype)}, tmp_path / "model.safetensors")
    checkpoint = Checkpoint.open(tmp_path)
    for read in READS[1:]:
        with pytest.raises(CheckpointError, match=r"'a\.weight' in .*model\.safetensors holds NaN or infinity"):
            read(checkpoint, "a.weight")


def test_threads_may_read_at_once(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(write(tmp_path, ml_dtypes.bfloat16, shards=True))
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(checkpoint.tensor, ["a.weight", "b.weight"] * 100))
    for value, factor in zip(read, [1, 2] * 100, strict=True):
        np.testing.assert_array_equal(value, VALUES * factor)
