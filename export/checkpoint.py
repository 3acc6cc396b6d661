"""A checkpoint folder in safetensors, read one tensor at a time. Pickles are never opened."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import ml_dtypes  # noqa: F401  # registers bfloat16 with numpy, which safetensors looks up by name
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from onnxrank.errors import CheckpointError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
FLOATS = ("BF16", "F16", "F32")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """Where a tensor lies, and its dtype and shape as the file's header gives them."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """`config` is config.json; `tensors` lists the weights, which stay on disk until `tensor` reads one."""

    folder: Path
    config: dict[str, Any]
    tensors: Mapping[str, TensorEntry]

    @classmethod
    def open(cls, folder: Path) -> "Checkpoint":
        """Read config.json and the headers of the weight files.

        Raises CheckpointError for a missing, damaged or unsafe file.
        """
        if not (folder / "config.json").is_file():
            raise CheckpointError(f"{folder} has no config.json, so it is no checkpoint; give a model's folder.")
        config = read_json(folder / "config.json")
        tensors: dict[str, TensorEntry] = {}
        for file in _weight_files(folder):
            tensors |= _header(file)
        return cls(folder=folder, config=config, tensors=tensors)

    def require(self, name: str, shape: Sequence[int]) -> None:
        """Raise CheckpointError unless a float tensor of this name and shape exists."""
        entry = self.tensors.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self.tensors, n=1)
            hint = f" (the nearest name is {near[0]!r})" if near else ""
            raise CheckpointError(f"{self.folder} has no tensor {name!r}{hint}; download the checkpoint again.")
        if entry.shape != tuple(shape):
            raise CheckpointError(
                f"tensor {name!r} in {entry.file} has shape {list(entry.shape)}, and config.json makes it "
                f"{list(shape)}; the two files are not of one model."
            )
        if entry.dtype not in FLOATS:
            raise CheckpointError(
                f"tensor {name!r} in {entry.file} is {entry.dtype}, and {', '.join(FLOATS)} can be read; "
                "export from the unquantized checkpoint."
            )

    def tensor(self, name: str) -> NDArray[np.float32]:
        """Return one tensor as float32. Raises CheckpointError if it holds NaN or infinity."""
        entry = self.tensors[name]
        with safe_open(entry.file, framework="np") as file:
            value: NDArray[np.float32] = file.get_tensor(name).astype(np.float32)
        return _finite(value, name, entry)

    def rows(self, name: str, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return some rows of a matrix, [len(indices), columns], as float32."""
        entry = self.tensors[name]
        with safe_open(entry.file, framework="np") as file:
            rows = [file.get_slice(name)[i : i + 1] for i in indices]
        return _finite(np.concatenate(rows).astype(np.float32), name, entry)


def read_json(path: Path) -> dict[str, Any]:
    """Return a file's JSON object. Raises CheckpointError if it is something else."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is no JSON ({error}); download the checkpoint again.") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} holds a {type(data).__name__}, not an object; download the checkpoint again.")
    return data


def _weight_files(folder: Path) -> list[Path]:
    if (folder / INDEX).is_file():
        shards = set(read_json(folder / INDEX).get("weight_map", {}).values())
        for shard in sorted(shards):
            if PurePosixPath(shard).name != shard:
                raise CheckpointError(f"{folder / INDEX} names {shard!r}, a path outside the folder; do not use it.")
            if not (folder / shard).is_file():
                raise CheckpointError(f"{folder / shard} is missing; download the checkpoint again.")
        return [folder / shard for shard in sorted(shards)]
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if pickles := [p.name for pattern in ("*.bin", "*.pt", "*.pth") for p in sorted(folder.glob(pattern))]:
        raise CheckpointError(
            f"{folder} holds only {pickles[0]}, a pickle, which could run code and is never opened; "
            "save the model with `save_pretrained(..., safe_serialization=True)`."
        )
    raise CheckpointError(f"{folder} has no {WEIGHTS}, so it is no checkpoint; give a model's folder.")


def _header(file: Path) -> dict[str, TensorEntry]:
    try:
        with safe_open(file, framework="np") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # not a mapping
            return {
                name: TensorEntry(file=file, dtype=part.get_dtype(), shape=tuple(part.get_shape()))
                for name, part in slices.items()
            }
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is damaged ({error}); download the checkpoint again.") from error


def _finite(value: NDArray[np.float32], name: str, entry: TensorEntry) -> NDArray[np.float32]:
    # The sum is NaN or infinite exactly when an element is (barring overflow, which float64 rules out).
    if not np.isfinite(value.sum(dtype=np.float64)):
        raise CheckpointError(
            f"tensor {name!r} in {entry.file} holds NaN or infinity; the checkpoint is damaged, use another copy."
        )
    return value
