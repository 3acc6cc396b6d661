"""How the adapters of frameworks rank texts, with a reranker or with late interaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from onnxrank.errors import InputError
from onnxrank.late_interaction import LateInteraction
from onnxrank.reranker import Reranker

Model = Reranker | LateInteraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A ranked text: its index in the list that was given, and its score."""

    index: int
    score: float


def rank(model: Model, query: str, texts: Sequence[str], *, top_k: int | None, instruction: str | None) -> list[Hit]:
    """Return texts by descending score. Raises InputError for an instruction that the model does not take."""
    if isinstance(model, Reranker):
        hits = model.rank(query, texts, top_k, instruction=instruction, show_progress_bar=False)
    elif instruction is None:
        hits = model.rank(query, texts, top_k=top_k, show_progress_bar=False)
    else:
        raise InputError(f"instruction is {instruction!r:.60}, and late interaction takes none; leave it out.")
    return [Hit(index=hit["corpus_id"], score=hit["score"]) for hit in hits]
