"""`golden.json`: pairs with the token ids and logits of the unmodified PyTorch checkpoint."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxrank.artifact.manifest import GOLDEN
from onnxrank.artifact.schema import SchemaError, parse, read, write
from onnxrank.errors import ArtifactError, one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenPair:
    """One pair. `logits` is None where only the token ids were recorded, because scoring would take minutes.

    token_ids: of the prompt, or of the document if the model embeds queries (query_token_ids) and documents separately.
    logits: one number, or one for each exit (deepest first) and width (widest first) of a matryoshka model.
    relevance: the document's grade, 0 if it does not answer the query; None if nobody graded it.
    """

    query: str
    document: str
    query_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logits: tuple[float, ...] | None
    relevance: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """`oracle` names the library versions that computed the scores. All pairs use the default instruction."""

    oracle: dict[str, str]
    pairs: tuple[GoldenPair, ...]

    @property
    def scored(self) -> tuple[GoldenPair, ...]:
        return tuple(pair for pair in self.pairs if pair.logits is not None)


def read_golden(folder: Path) -> Golden:
    """Raises ArtifactError if golden.json is missing or malformed, or holds logits of no or of several shapes."""
    path = folder / GOLDEN
    try:
        golden = read(Golden, parse(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, SchemaError) as error:
        raise ArtifactError(f"{path} cannot be read ({one_line(error)}); export the artifact again.") from error
    if len({len(pair.logits) for pair in golden.scored if pair.logits is not None}) != 1:
        raise ArtifactError(f"{path} needs pairs with the same number of logits each; export the artifact again.")
    return golden


def write_golden(golden: Golden, folder: Path) -> None:
    (folder / GOLDEN).write_text(json.dumps(write(golden), ensure_ascii=False) + "\n", encoding="utf-8")


def by_query(pairs: Sequence[GoldenPair]) -> dict[str, list[int]]:
    """Return the indices of each query's pairs."""
    groups: dict[str, list[int]] = {}
    for i, pair in enumerate(pairs):
        groups.setdefault(pair.query, []).append(i)
    return groups
