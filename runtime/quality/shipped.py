"""Scores a query's candidates with an artifact, whichever class opens it."""

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.opening import Artifact
from onnxrank.embedder import Embedder
from onnxrank.errors import InputError
from onnxrank.late_interaction import LateInteraction
from onnxrank.quality.candidates import Candidates
from onnxrank.reranker import Reranker

Model = Reranker | LateInteraction | Embedder


def open_model(artifact: Artifact, variant: str, *, layers: int | None, dim: int | None, threads: int | None) -> Model:
    """Return the scorer of a variant; layers and dim are those of `Reranker`.

    Raises what the class does, and InputError if it takes no layers and dim.
    """
    opener = artifact.manifest.scoring.opened_with
    if opener == "Reranker":
        return Reranker(artifact, variant=variant, layers=layers, dim=dim, threads=threads)
    for name, value in (("layers", layers), ("dim", dim)):
        if value is not None:
            raise InputError(f"{name} is {value}, and this model has one exit and one width; leave it out.")
    text_model = LateInteraction if opener == "LateInteraction" else Embedder
    return text_model(artifact, variant=variant, threads=threads)


def score(model: Model, candidates: Candidates) -> NDArray[np.float32]:
    """Return the logits of the documents, or the query's similarities to them, float32 [documents]."""
    query, documents = candidates.query, candidates.documents
    if isinstance(model, Reranker):
        pairs = [(query, document) for document in documents]
        return model.score(pairs, instruction=candidates.instruction, show_progress_bar=False).logits
    if isinstance(model, LateInteraction):
        hits = model.rank(query, documents, show_progress_bar=False)
        return np.array([hit["score"] for hit in sorted(hits, key=lambda hit: int(hit["corpus_id"]))], np.float32)
    (vector,) = model.encode([query], is_query=True, instruction=candidates.instruction, show_progress_bar=False)
    found: NDArray[np.float32] = model.encode(documents, is_query=False, show_progress_bar=False) @ vector
    return found
