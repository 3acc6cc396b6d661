"""What is measured: a checkpoint on a held-out set."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity import texts
from benchmarks.fidelity.checkpoints import checkpoint
from benchmarks.fidelity.texts import Candidates
from onnxrank.artifact.manifest import Scoring
from onnxrank.artifact.opening import sha256
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.tokenizer import read_tokenizer
from onnxrank.export.families.detection import find_family
from onnxrank.export.families.family import Reference
from onnxrank.export.options import FamilyOptions
from onnxrank.export.proof.oracle import reference_of

HELD_OUT = Path("build/fidelity/held_out")


@dataclass(frozen=True)
class Subject:
    """A checkpoint by name, and a held-out set by name, of which the first `queries` are scored."""

    name: str
    texts: str
    queries: int

    @cached_property
    def folder(self) -> Path:
        """The checkpoint's folder; it is trained if it is not there."""
        return checkpoint(self.name)

    @property
    def weights(self) -> Path:
        return self.folder / "model.safetensors"

    @cached_property
    def identity(self) -> str:
        """A hash of the checkpoint's weights."""
        return sha256(self.weights)

    @cached_property
    def candidates(self) -> Sequence[Candidates]:
        return texts.held_out(self.texts, HELD_OUT)[: self.queries]

    @cached_property
    def texts_identity(self) -> str:
        """A hash of the whole held-out set."""
        self.candidates  # noqa: B018  # makes the file
        return sha256(HELD_OUT / f"{self.texts}.jsonl")

    @cached_property
    def family(self) -> str:
        return find_family(None, Checkpoint.open(self.folder)).name

    @cached_property
    def scoring(self) -> Scoring:
        plan = find_family(self.family, Checkpoint.open(self.folder)).plan
        return plan(Checkpoint.open(self.folder), read_tokenizer(self.folder), FamilyOptions()).scoring

    @cached_property
    def reference(self) -> Reference:
        """The family's reference code, which the proof of an export calls too. It scores one pair at a time."""
        return reference_of(self.folder, self.family, FamilyOptions())

    def token_ids(self, query: int) -> list[tuple[list[int], list[int]]]:
        """Return what the reference code encodes a query's candidates to."""
        found = self.candidates[query]
        return [self.reference.encode(found.query, document) for document in found.documents]

    @property
    def answers(self) -> tuple[int, int]:
        """Token ids of a decoder's two answers."""
        readout = self.scoring.readout
        assert readout and readout.false_token_id is not None
        return readout.true_token_id, readout.false_token_id

    @property
    def relevance(self) -> NDArray[np.int64]:
        """1 for the document that fits, [queries, documents]."""
        return np.array([[int(i == found.right) for i in range(len(found.documents))] for found in self.candidates])


def hashed(*parts: Any) -> str:
    """Return a short hash of what scores or files depend on."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:12]
