"""Keys and values that an artifact's file holds, because its variant would compute them less exactly."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxrank.artifact.manifest import KeyValueCache, StoredPast
from onnxrank.artifact.opening import Artifact
from onnxrank.engine.session import Array
from onnxrank.errors import ArtifactError
from onnxrank.text.body import TokenIds

# The type of the file's numbers.
STORED = np.dtype("<f2")

# By the prefix graph's names for its inputs, each float32 `[heads, tokens, head_dim]`.
Past = dict[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastFile:
    """The file that holds the keys and values of token_ids; the layout is that of `StoredPast`."""

    path: Path
    token_ids: TokenIds

    @classmethod
    def of(cls, artifact: Artifact, stored: StoredPast) -> "PastFile":
        return cls(path=artifact.folder / stored.file, token_ids=stored.token_ids)

    def read(self, shape: KeyValueCache) -> Past:
        """Return the keys and values. Raises ArtifactError if the file is missing or its size is wrong."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise ArtifactError(
                f"{self.path} cannot be read ({error.strerror}); export or download the artifact again."
            ) from error
        names = past_names("past_key_values", shape)
        one = shape.heads, len(self.token_ids), shape.head_dim
        expected = len(names) * shape.heads * len(self.token_ids) * shape.head_dim * STORED.itemsize
        if len(content) != expected:
            raise ArtifactError(
                f"{self.path} has {len(content)} bytes, and the keys and values of {len(self.token_ids)} tokens take "
                f"{expected}; export the artifact again."
            )
        arrays = np.frombuffer(content, STORED).reshape(len(names), *one).astype(np.float32)
        return dict(zip(names, arrays, strict=True))


def past_names(kind: str, shape: KeyValueCache) -> list[str]:
    """Return the prefix graph's names for keys and values, in order. kind: "past_key_values" or "present"."""
    return [f"{kind}.{layer}.{part}" for layer in range(shape.layers) for part in ("key", "value")]
