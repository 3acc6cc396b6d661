"""Measures how well a cascade routes queries to documents: the retriever alone, and with the reranker."""

from collections.abc import Sequence
from dataclasses import dataclass

from onnxrank.cascade import Cascade
from onnxrank.errors import InputError
from onnxrank.progress import Done
from onnxrank.quality.corpus import Entry, Query
from onnxrank.quality.measures import CLUSTER, ROUTING, TARGET, measure


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Means over the queries, keyed by the names in ROUTING; `reranked` is None without a reranker."""

    queries: int
    retrieved: dict[str, float]
    reranked: dict[str, float] | None


def measure_cascade(
    cascade: Cascade,
    corpus: Sequence[Entry],
    queries: Sequence[Query],
    *,
    retrieve: int = 50,
    done: Done = lambda count: None,
) -> Routing:
    """Retrieve and rerank for every query, and measure both; `cascade` must have indexed `corpus`.

    Raises InputError if a query names a document that the corpus lacks.
    """
    qrels = _qrels(corpus, queries)
    retrieved: dict[str, dict[str, float]] = {}
    reranked: dict[str, dict[str, float]] = {}
    for number, query in enumerate(queries):
        found = cascade.retrieve(query.text, top_k=retrieve)
        retrieved[str(number)] = {corpus[hit["corpus_id"]].id: hit["score"] for hit in found}
        if cascade.reranker:
            scores = cascade.reranker.score([(query.text, hit["text"]) for hit in found]).logits
            pairs = zip(found, scores, strict=True)
            reranked[str(number)] = {corpus[hit["corpus_id"]].id: float(score) for hit, score in pairs}
        done(1)
    return Routing(
        queries=len(queries),
        retrieved=_measure(qrels, retrieved),
        reranked=_measure(qrels, reranked) if cascade.reranker else None,
    )


def _measure(qrels: dict[str, dict[str, int]], run: dict[str, dict[str, float]]) -> dict[str, float]:
    found = measure(qrels, run, list(ROUTING.values()))
    return {name: found[notation] for name, notation in ROUTING.items()}


def _qrels(corpus: Sequence[Entry], queries: Sequence[Query]) -> dict[str, dict[str, int]]:
    by_id = {entry.id: entry for entry in corpus}
    clusters: dict[str | None, list[str]] = {}
    for entry in corpus:
        if entry.cluster is not None:
            clusters.setdefault(entry.cluster, []).append(entry.id)
    qrels: dict[str, dict[str, int]] = {}
    for number, query in enumerate(queries):
        grades: dict[str, int] = {}
        for id_ in query.relevant:
            if id_ not in by_id:
                raise InputError(f"the query {query.text!r:.60} names the document {id_!r}, which the corpus lacks.")
            grades |= dict.fromkeys(clusters.get(by_id[id_].cluster, []), CLUSTER)
        qrels[str(number)] = grades | dict.fromkeys(query.relevant, TARGET)
    return qrels
