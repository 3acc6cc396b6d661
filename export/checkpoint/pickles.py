"""Reads weights from a PyTorch pickle with `weights_only`, which runs no code in the file.

The conversion to safetensors runs in a separate process, so that the exporter never loads torch.
"""

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from onnxrank.errors import CheckpointError
from onnxrank.export.helper_process import command, last_line, settings
from onnxrank.export.scratch import scratch


@cache
def as_safetensors(path: Path) -> Path:
    """Return a safetensors file with the tensors of a pickle; it is deleted when this process ends.

    Raises CheckpointError if the file holds anything but tensors in (one level of) dictionaries.
    """
    target = Path(tempfile.mkdtemp(dir=scratch())) / f"{path.name}.safetensors"
    arguments = command("onnxrank.export.checkpoint.pickles", path.resolve(), target)
    done = subprocess.run(arguments, capture_output=True, check=False, **settings())
    if done.returncode != 0:
        reason = last_line(done.stderr, done.returncode)
        raise CheckpointError(f"{path} cannot be read as weights alone, and is not run ({reason}).")
    return target


def _convert(source: Path, target: Path) -> None:
    import torch
    from safetensors.torch import save_file

    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle errors have no common base, and messages of several lines
        sys.exit(f"{type(error).__name__}: {str(error).splitlines()[0]}")
    for name in ("model_state_dict", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        sys.exit("it holds more than named tensors")
    # Clone, because safetensors refuses tensors that share memory.
    save_file({str(name): value.clone().contiguous() for name, value in content.items()}, target)


if __name__ == "__main__":
    _convert(Path(sys.argv[1]), Path(sys.argv[2]))
