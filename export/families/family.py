"""A model family: how its checkpoints become graphs, and the reference code that its exports are compared with."""

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

# Defaults for the fields that most families leave empty; the manifest's classes have no defaults.
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
    """The graphs and the scoring of one checkpoint's export.

    scoring: for the graph whose output is the score; its `readout` is only for the vocabulary graph.
    traced: whether PyTorch's tracer makes the graph.
    """

    scoring: Scoring
    graphs: Graphs
    traced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """The arguments of a family's reference code: PyTorch's modules, the checkpoint and its own tokenizer.

    load(auto_class, **arguments) returns the checkpoint's transformers model in evaluation mode; it computes in
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

    encode(query, document) returns the token ids of the query (empty for models that read pairs) and of the prompt or
    document. score(query_ids, ids) returns the logits, a tensor: one, or all exits (deepest first) by widths (widest
    first), [exits x widths]. model: the module whose linear layers the score comes from.
    """

    encode: Callable[[str, str], tuple[list[int], list[int]]]
    score: Callable[[list[int], list[int]], Any]
    model: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One family.

    model_types: its architectures (config.json's model_type); empty means any except those in `never`. options: the
    fields of FamilyOptions that it takes. recognises(checkpoint): whether the checkpoint is
    certainly of this family. could_be(checkpoint): whether it has the files and tensors that the family needs.
    """

    name: str
    description: str
    model_types: Sequence[str]
    options: Set[str]
    recognises: Callable[[Checkpoint], bool]
    plan: Callable[[Checkpoint, Tokenizer, FamilyOptions], Plan]
    reference: Callable[[Torch], Reference]
    never: Set[str] = frozenset()
    could_be: Callable[[Checkpoint], bool] = lambda checkpoint: True

    def takes(self, model_type: object) -> bool:
        """Whether it comes as this architecture."""
        return model_type not in self.never and (not self.model_types or model_type in self.model_types)

    def comes_as(self) -> str:
        """Return its architectures as text for messages."""
        return ", ".join(self.model_types) or f"any but {', '.join(sorted(self.never))}"
