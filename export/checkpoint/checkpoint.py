"""Reads a safetensors checkpoint folder, one tensor at a time."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import Any

import ml_dtypes  # noqa: F401  # registers bfloat16 with NumPy; safetensors needs it
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from onnxrank.artifact.schema import parse
from onnxrank.errors import CheckpointError, one_line
from onnxrank.export.checkpoint.field_types import Fields
from onnxrank.export.checkpoint.other_formats import refuse_other_formats
from onnxrank.export.checkpoint.pickles import as_safetensors

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# Pickles that are read (tensors only) if there are no safetensors files: transformers' own, and Matrix v6's.
PICKLE, PICKLE_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
LEGACY = "final.pt"
# A pickle of a few megabytes that is read besides the weights.
LEGACY_HEADS = "classification_heads.pt"
FLOATS = ("BF16", "F16", "F32")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """A tensor's file, and its dtype and shape from the file's header."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """config: config.json. tensors: the list of weights; they stay on disk until `tensor` reads one."""

    folder: Path
    config: dict[str, Any]
    tensors: Mapping[str, TensorEntry]

    @classmethod
    def open(cls, folder: Path) -> "Checkpoint":
        """Read config.json and the headers of the weight files.

        Raises CheckpointError for a missing, damaged or unsafe file, UnsupportedError for an adapter or GGUF.
        """
        refuse_other_formats(folder)
        if not (folder / "config.json").is_file():
            raise CheckpointError(f"{folder} has no config.json, so it is no checkpoint; give a model's folder.")
        config = read_json(folder / "config.json")
        tensors: dict[str, TensorEntry] = {}
        for file in _weight_files(folder):
            tensors |= _header(file)
        return cls(folder=folder, config=config, tensors=tensors)

    def with_file(self, file: Path) -> "Checkpoint":
        """Return the checkpoint with the tensors of another safetensors file added."""
        return replace(self, tensors={**self.tensors, **_header(file)})

    def require(self, name: str, shape: Sequence[int]) -> None:
        """Raise CheckpointError unless a float tensor of this name and shape exists, without reading its values."""
        entry = self._entry(name)
        if entry.shape != tuple(shape):
            raise CheckpointError(
                f"tensor {name!r} in {entry.file} has shape {list(entry.shape)}, and config.json makes it "
                f"{list(shape)}; the two files are not of one model."
            )

    def tensor(self, name: str) -> NDArray[np.float32]:
        """Return one tensor as float32.

        Raises CheckpointError if it is missing, not in floats, or holds NaN or infinity.
        """
        entry = self._entry(name)
        with _reading(entry.file) as file:
            value: NDArray[np.float32] = file.get_tensor(name).astype(np.float32, copy=False)
        return _finite(value, name, entry)

    def rows(self, name: str, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return some rows of a matrix, [len(indices), columns], as float32.

        Raises CheckpointError if the tensor or a row is missing, is not in floats, or holds NaN or infinity.
        """
        entry = self._entry(name)
        if last := [index for index in indices if not 0 <= index < entry.shape[0]]:
            raise CheckpointError(
                f"tensor {name!r} in {entry.file} has {entry.shape[0]} rows, and row {last[0]} is asked for; "
                "the tokenizer and the weights are not of one model."
            )
        with _reading(entry.file) as file:
            rows = [file.get_slice(name)[i : i + 1] for i in indices]
        return _finite(np.concatenate(rows).astype(np.float32, copy=False), name, entry)

    def check_values(self) -> None:
        """Read all weights. Raises CheckpointError for the first that holds NaN or infinity."""
        for name, entry in self.tensors.items():
            if entry.dtype in FLOATS:
                self.tensor(name)

    def _entry(self, name: str) -> TensorEntry:
        entry = self.tensors.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self.tensors, n=1)
            hint = f" (the nearest name is {near[0]!r})" if near else ""
            raise CheckpointError(
                f"{_home(self.folder, name)} has no tensor {name!r}{hint}; download the checkpoint again."
            )
        if entry.dtype not in FLOATS:
            raise CheckpointError(
                f"tensor {name!r} in {entry.file} is {entry.dtype}, and {', '.join(FLOATS)} can be read; "
                "export from the unquantized checkpoint."
            )
        return entry


def read_json(path: Path) -> dict[str, Any]:
    """Return a file's JSON object. Raises CheckpointError if it is not one, or has a field of the wrong type."""
    data = _parse(path)
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} holds a {type(data).__name__}, not an object; download the checkpoint again.")
    return Fields(path, data)


def read_json_list(path: Path) -> list[dict[str, Any]]:
    """Return a file's JSON list of objects. Raises CheckpointError if it is not one."""
    data = _parse(path)
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
        raise CheckpointError(f"{path} is no list of objects; download the checkpoint again.")
    return data


def read_text(path: Path) -> str:
    """Return a text file. Raises CheckpointError if it cannot be read, or is not in UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no text ({one_line(error)}); download the checkpoint again.") from error


def _parse(path: Path) -> object:
    try:
        parsed: object = parse(path.read_text(encoding="utf-8"))
        # JSON can escape halves of characters, which no file can hold.
        json.dumps(parsed, ensure_ascii=False).encode()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no JSON ({one_line(error)}); download the checkpoint again.") from error
    return parsed


def _weight_files(folder: Path) -> list[Path]:
    # The single file comes first, as in transformers, because the oracle has to read the same weights.
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        return _shards(folder / INDEX)
    for name in (PICKLE, LEGACY):
        if (folder / name).is_file():
            return [as_safetensors(folder / name)]
    if (folder / PICKLE_INDEX).is_file():
        return [as_safetensors(shard) for shard in _shards(folder / PICKLE_INDEX)]
    if pickles := [p.name for pattern in ("*.bin", "*.pt", "*.pth") for p in sorted(folder.glob(pattern))]:
        raise CheckpointError(
            f"{folder} holds only {pickles[0]}, a pickle, which could run code and is not opened; "
            "if you trust it, load it with transformers and call `save_pretrained`, which writes safetensors."
        )
    raise CheckpointError(f"{folder} has no {WEIGHTS}, so it is no checkpoint; give a model's folder.")


def _shards(index: Path) -> list[Path]:
    shards = [index.parent / shard for shard in sorted(set(_weight_map(index).values()))]
    for shard in shards:
        if not shard.is_file():
            raise CheckpointError(f"{shard} is missing; download the checkpoint again.")
    return shards


def _weight_map(index: Path) -> dict[str, str]:
    """Return the index's map from tensor name to shard; each shard is a file next to the index."""
    found = read_json(index).get("weight_map")
    if not isinstance(found, dict) or not found or not all(isinstance(shard, str) for shard in found.values()):
        raise CheckpointError(f"{index} has no weight_map of file names; download the checkpoint again.")
    for shard in found.values():
        if PureWindowsPath(shard).name != shard:  # PureWindowsPath recognises both slashes, and drives
            raise CheckpointError(f"{index} names {shard!r}, which is no plain file name; do not use it.")
    return found


def _home(folder: Path, name: str) -> Path:
    """Return the file in which a tensor should be."""
    for index in (folder / INDEX, folder / PICKLE_INDEX):
        if index.is_file() and not (folder / WEIGHTS).is_file():
            return folder / _weight_map(index).get(name, index.name)
    return next((folder / file for file in (WEIGHTS, PICKLE, LEGACY) if (folder / file).is_file()), folder)


def _header(file: Path) -> dict[str, TensorEntry]:
    with _reading(file) as opened:
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # the file is not a mapping
        return {
            name: TensorEntry(file=file, dtype=part.get_dtype(), shape=tuple(part.get_shape()))
            for name, part in slices.items()
        }


@contextmanager
def _reading(file: Path) -> Iterator[Any]:
    """Map a weight file; each read maps it again, so that threads share nothing."""
    try:
        with safe_open(file, framework="np") as opened:
            yield opened
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is damaged ({one_line(error)}); download the checkpoint again.") from error


def _finite(value: NDArray[np.float32], name: str, entry: TensorEntry) -> NDArray[np.float32]:
    # The sum is NaN or infinite exactly if an element is; in float64 it cannot overflow.
    with np.errstate(invalid="ignore"):  # inf - inf raises a warning
        total = value.sum(dtype=np.float64)
    if not np.isfinite(total):
        raise CheckpointError(
            f"tensor {name!r} in {entry.file} holds NaN or infinity; the checkpoint is damaged, use another copy."
        )
    return value
