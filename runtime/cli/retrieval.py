"""Opens the cascade that the options of `index`, `search` and `evaluate` describe."""

from pathlib import Path

from onnxrank.cascade import Cascade, IndexCard
from onnxrank.embedder import Embedder
from onnxrank.errors import HubError, InputError
from onnxrank.reranker import Reranker


def open_cascade(
    retriever: str,
    retriever_variant: str | None,
    reranker: str | None,
    variant: str | None,
    threads: int | None,
    kind: str = "flat",
) -> Cascade:
    """Return a cascade without a corpus."""
    return _cascade(Embedder(retriever, variant=retriever_variant, threads=threads), reranker, variant, threads, kind)


def open_indexed(
    folder: Path,
    card: IndexCard,
    retriever: str | None,
    retriever_variant: str | None,
    reranker: str | None,
    variant: str | None,
    threads: int | None,
) -> Cascade:
    """Return a cascade with an index and, unless another is named, the retriever that the index was made with."""
    kept = retriever_variant or card.variant
    if retriever:
        found = Embedder(retriever, variant=kept, threads=threads)
    else:
        try:
            found = Embedder(card.artifact, variant=kept, revision=card.revision, threads=threads)
        except (InputError, HubError) as error:
            raise InputError(
                f"{folder} was made with the retriever {card.artifact}, which cannot be opened; if it has moved, name "
                f"its new place with --retriever. ({error})"
            ) from error
    cascade = _cascade(found, reranker, variant, threads)
    cascade.load(folder)
    return cascade


def _cascade(
    retriever: Embedder,
    reranker: str | None,
    variant: str | None,
    threads: int | None,
    kind: str = "flat",
) -> Cascade:
    opened = Reranker(reranker, variant=variant, threads=threads) if reranker else None
    return Cascade(retriever, opened, index=kind)
