"""`Cascade`: retrieves by one vector per document, then reranks the best; an index on disk keeps the embedded corpus.

By default the vectors are in a flat faiss index, in float16: exact search, 2 kB per document at 1,024 dimensions.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxrank.artifact.schema import parse, read, write
from onnxrank.artifact.staging import recover, staged
from onnxrank.embedder import Embedder
from onnxrank.errors import ArtifactError, InputError, OutputError, one_line
from onnxrank.progress import progress
from onnxrank.ranking import check_top_k
from onnxrank.reranker import Reranker
from onnxrank.text.documents import Document, check_text, list_of_texts, texts_of
from onnxrank.vector_index import FaissIndex, VectorIndex

CARD, VECTORS, TEXTS = "cascade.json", "vectors.faiss", "texts.jsonl"
FORMAT = 3
# Documents embedded before their vectors go into the index: bounds the memory of indexing.
CHUNK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCard:
    """What an index on disk was made with. `retriever` names the artifact's source and variant for people; `weights` is
    a hash of the variant's files. `artifact` is the retriever's folder (absolute) or hub id, `revision` its commit.
    """

    format: int
    retriever: str
    artifact: str
    revision: str | None
    variant: str
    weights: str
    documents: int
    dim: int


class Cascade:
    """A corpus, its vectors, a retriever and, if reranking is wanted, a reranker."""

    def __init__(
        self, retriever: Embedder, reranker: Reranker | None = None, *, index: str | VectorIndex = "flat"
    ) -> None:
        """index: how faiss searches: "flat" compares with every vector; "hnsw" and "ivf" find most of the nearest in a
        fraction of the time, for hundreds of thousands of documents and more. Or an index of another engine, such as
        `onnxrank.integrations.qdrant.QdrantIndex`.

        Raises InputError for another kind, BackendError if faiss is not installed.
        """
        self._kind: str | None = index if isinstance(index, str) else None
        self._made: VectorIndex = FaissIndex(index) if isinstance(index, str) else index
        self.retriever = retriever
        self.reranker = reranker
        self.texts: list[str] = []
        self.ids: list[str] | None = None
        self._vectors: VectorIndex | None = None

    @property
    def document_template(self) -> str | None:
        """How the fields of a document become its text: the reranker's template, if there is one."""
        return self.reranker.document_template if self.reranker else None

    def index(
        self, corpus: Sequence[Document], *, ids: Sequence[str] | None = None, show_progress_bar: bool | None = None
    ) -> None:
        """Embed a corpus, which replaces any earlier one. `corpus_id` in results is an index into it.

        An index of another engine loses its vectors at the start, one of faiss is replaced at the end.
        ids: names of the documents, which results then hold as `id`. Documents with fields become texts by the
        reranker's template. Raises InputError for an empty corpus, a document that is not a text, or too few ids.
        """
        texts = self._texts(corpus)
        if not texts:
            raise InputError("corpus is empty; give at least one document.")
        named = None if ids is None else list_of_texts(ids, "ids")
        if named is not None and len(named) != len(texts):
            raise InputError(f"ids has {len(named)} entries for {len(texts)} documents; give one for each.")
        vectors = FaissIndex(self._kind) if self._kind else self._made
        with progress("indexing", len(texts), show_progress_bar) as done:
            for start in range(0, len(texts), CHUNK):
                chunk = self.retriever.encode(texts[start : start + CHUNK], is_query=False, done=done)
                if start == 0:
                    vectors.start(chunk.shape[1])
                vectors.add(chunk)
            vectors.finish()
        self.texts, self.ids, self._vectors = texts, named, vectors

    def retrieve(self, query: str, *, top_k: int = 50, instruction: str | None = None) -> list[dict[str, Any]]:
        """Return the nearest documents, as dicts with `corpus_id`, `score` (cosine similarity), `text` and, if the
        corpus has ids, `id`."""
        check_top_k(top_k)
        check_text(query, "query")
        (vector,) = self.retriever.encode([query], is_query=True, instruction=instruction)
        scores, places = self._corpus().search(vector, min(top_k, len(self.texts)))
        return [
            {
                **({"id": self.ids[i]} if self.ids else {}),
                "corpus_id": i,
                "score": float(score),
                "text": self.texts[i],
            }
            for i, score in zip(places.tolist(), scores, strict=True)
        ]

    def search(
        self, query: str, *, top_k: int = 10, retrieve: int = 50, instruction: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the `top_k` best of `retrieve` retrieved documents, as dicts with `corpus_id`, `score` (the
        reranker's), `truncated`, `retrieval_score`, `text` and, if the corpus has ids, `id`.

        instruction: what counts as relevant, for the reranker. Raises InputError without a reranker or a corpus.
        """
        if self.reranker is None:
            raise InputError("this cascade has no reranker; give one, or call `retrieve`.")
        found = self.retrieve(query, top_k=retrieve)
        ranked = self.reranker.rank(query, [hit["text"] for hit in found], top_k=top_k, instruction=instruction)
        return [{**found[hit["corpus_id"]], **hit, **_of_retrieval(found[hit["corpus_id"]])} for hit in ranked]

    def save(self, folder: str | Path) -> None:
        """Write the index; an index that is already there is replaced only once the new one is complete. The vectors of
        another engine stay there.

        Raises OutputError if the folder holds something else, InputError without a corpus.
        """
        vectors = self._corpus()
        target = Path(folder)
        recover(target)
        if target.exists() and not (target / CARD).is_file():
            raise OutputError(f"{target} exists and is not an index; choose another folder.")
        with staged(target) as made:
            if isinstance(vectors, FaissIndex):
                vectors.write(made / VECTORS)
            ids: Sequence[str | None] = self.ids or [None] * len(self.texts)
            pairs = zip(ids, self.texts, strict=True)
            lines = (json.dumps({"id": id_, "text": text}, ensure_ascii=False) + "\n" for id_, text in pairs)
            (made / TEXTS).write_text("".join(lines), encoding="utf-8")
            artifact, revision = self.retriever.opened_from
            card = IndexCard(
                format=FORMAT,
                retriever=_name(self.retriever),
                artifact=artifact,
                revision=revision,
                variant=self.retriever.variant,
                weights=self.retriever.identity,
                documents=len(self.texts),
                dim=vectors.dim,
            )
            (made / CARD).write_text(json.dumps(write(card), indent=1) + "\n", encoding="utf-8")

    def load(self, folder: str | Path) -> None:
        """Read an index that `save` wrote; it replaces any earlier corpus.

        Raises ArtifactError if it is not an index, is damaged, or was made with another retriever.
        """
        source = Path(folder)
        card = read_card(source)
        try:
            lines = (source / TEXTS).read_text(encoding="utf-8").split("\n")[:-1]
            documents = [read(_Stored, parse(line)) for line in lines]
        except (OSError, ValueError) as error:
            raise _no_index(source, error) from error
        if card.weights != self.retriever.identity:
            raise ArtifactError(
                f"{source} was made with {card.retriever} of other weights than this retriever, "
                f"{_name(self.retriever)}; open that one, or index the corpus again."
            )
        vectors = self._read_vectors(source)
        if not len(vectors) == len(documents) == card.documents or vectors.dim != card.dim:
            raise ArtifactError(f"{source} is damaged: its files disagree; index the corpus again.")
        ids = [document.id for document in documents if document.id is not None]
        self.texts = [document.text for document in documents]
        self.ids = ids if len(ids) == len(documents) else None
        self._vectors = vectors

    def check_corpus(self, corpus: Sequence[Document]) -> None:
        """Raise InputError unless the index was made of these documents."""
        if self._texts(corpus) != self.texts:
            raise InputError("the index was made of another corpus; index this one, or give the corpus it was made of.")

    def _texts(self, corpus: Sequence[Document]) -> list[str]:
        return texts_of(corpus, self.document_template, "corpus")

    def _read_vectors(self, folder: Path) -> VectorIndex:
        """Return the vectors of an index on disk, which are in its folder or in the caller's engine."""
        if self._kind is None:
            return self._made
        try:
            return FaissIndex.read(folder / VECTORS)
        except RuntimeError as error:  # faiss raises no more specific error
            if not (folder / VECTORS).exists():
                raise ArtifactError(
                    f"{folder} has its vectors in another engine; open the cascade with `index=`."
                ) from error
            raise ArtifactError(f"{folder / VECTORS} cannot be read; index the corpus again.") from error

    def _corpus(self) -> VectorIndex:
        if self._vectors is None:
            raise InputError("this cascade has no corpus; call `index` or `load` first.")
        return self._vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A document of an index on disk."""

    id: str | None
    text: str


def read_card(folder: Path) -> IndexCard:
    """Return what an index was made with. Raises ArtifactError if the folder is not an index of this format."""
    recover(folder)
    try:
        data = parse((folder / CARD).read_text(encoding="utf-8"))
        made = data.get("format") if isinstance(data, dict) else None
        if isinstance(made, int) and made != FORMAT:
            raise ArtifactError(f"{folder} is an index of format {made}, not {FORMAT}; index the corpus again.")
        return read(IndexCard, data)
    except (OSError, ValueError) as error:
        raise _no_index(folder, error) from error


def _no_index(folder: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{folder} is not an index ({one_line(error)}); make one with `onnxrank index`.")


def _of_retrieval(hit: dict[str, Any]) -> dict[str, Any]:
    """Return what a reranked hit has from the retriever, under its names there."""
    return {"corpus_id": hit["corpus_id"], "retrieval_score": hit["score"], "text": hit["text"]}


def _name(retriever: Embedder) -> str:
    source = retriever.manifest.source
    return f"{source.id}{f'@{source.revision}' if source.revision else ''} ({retriever.variant})"
