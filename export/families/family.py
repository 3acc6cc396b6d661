"""What a family is: how its checkpoints become graphs, and the reference code that its exports are held to."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from onnxrank.artifact.manifest import Scoring
from onnxrank.export.architectures.architecture import Graphs
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.options import FamilyOptions

# What most families leave empty; the manifest itself has no defaults.
scoring = partial(
    Scoring,
    prompt=None,
    texts=None,
    late_interaction=None,
    matryoshka=None,
    activation="identity",
    logit_scale=1.0,
    readout=None,
    kv_cache=None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an export of one checkpoint is made of.

    scoring: of the graph that gives the score; `readout` in it is for the vocabulary graph alone.
    traced: whether the graph comes from PyTorch's tracer.
    """

    scoring: Scoring
    graphs: Graphs
    traced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """What the reference code of a family gets: PyTorch's modules, the checkpoint and its own tokenizer.

    load(auto_class, **arguments) gives a transformers model of the checkpoint in evaluation mode that computes in
    float32.
    """

    torch: Any
    transformers: Any
    folder: Path
    checkpoint: Checkpoint
    options: FamilyOptions
    scoring: Scoring
    tokenizer: Any
    load: Callable[..., Any]

    def tensor(self, checkpoint: Checkpoint, name: str) -> Any:
        """Return one tensor, float32."""
        return self.torch.from_numpy(checkpoint.tensor(name).copy())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A family's reference code on one checkpoint.

    encode(query, document) gives the token ids of query (empty for models that read pairs) and prompt or document;
    score(query_ids, ids) the logits: one, or all exits (deepest first) by widths (widest first).
    """

    encode: Callable[[str, str], tuple[list[int], list[int]]]
    score: Callable[[list[int], list[int]], list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One family.

    model_types: the architectures (config.json's model_type) it comes in; empty for any but those in `never`. options:
    the names in FamilyOptions that it takes besides max_length. recognises(checkpoint): whether it is certainly of
    this family.
    """

    name: str
    description: str
    model_types: Sequence[str]
    options: Set[str]
    recognises: Callable[[Checkpoint], bool]
    plan: Callable[[Checkpoint, Tokenizer, FamilyOptions], Plan]
    reference: Callable[[Torch], Reference]
    never: Set[str] = frozenset()

    def comes_as(self) -> str:
        """Return its architectures in words."""
        return ", ".join(self.model_types) or f"any but {', '.join(sorted(self.never))}"
