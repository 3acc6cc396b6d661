"""Retrieval by the demo models and BM25, on the demo's held-out texts: `python -m benchmarks.demo.retrieval`.

The corpus is every document of export/demo/evaluation.jsonl.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.demo.candidates import BM25
from onnxrank import Cascade, Embedder, Reranker
from onnxrank.artifact.opening import open_artifact
from onnxrank.cli.console import show_table
from onnxrank.quality.measures import measure

MEASURES = ("R@10", "nDCG@10", "RR@10")

Run = Mapping[str, Mapping[str, float]]


def main(
    retriever: Annotated[str, typer.Option(help="Artifact of the demo retriever.")] = "artifacts/demo-retriever",
    reranker: Annotated[str | None, typer.Option(help="Artifact of the demo reranker.")] = None,
    evaluation: Annotated[Path, typer.Option(help="The held-out set.")] = Path("export/demo/evaluation.jsonl"),
    out: Annotated[Path | None, typer.Option(help="Folder for corpus.jsonl and queries.jsonl.")] = None,
) -> None:
    """Print recall@10, nDCG@10 and MRR@10 of every variant; write files for `onnxrank index` and `evaluate`."""
    corpus, queries = held_out(evaluation)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        write(out / "corpus.jsonl", [{"id": str(i), "text": text} for i, text in enumerate(corpus)])
        write(out / "queries.jsonl", [{"query": q, "relevant": str(i)} for q, i in queries.items()])
    qrels = {query: {str(relevant): 1} for query, relevant in queries.items()}
    found_by_words = zip(queries, BM25(corpus).scores(list(queries)), strict=True)
    runs = {"BM25": {query: best(scores) for query, scores in found_by_words}}
    for variant in open_artifact(retriever).manifest.variants:
        cascade = Cascade(Embedder(retriever, variant=variant), Reranker(reranker) if reranker else None)
        cascade.index(corpus)
        runs[variant] = {q: scores_of(cascade.retrieve(q, top_k=50)) for q in queries}
        if reranker:
            runs[f"{variant}, 50 reranked"] = {q: scores_of(cascade.search(q, top_k=50)) for q in queries}
    rows = []
    for name, run in runs.items():
        found = measure(qrels, run, MEASURES)
        rows.append([name, *(f"{found[one]:.3f}" for one in MEASURES)])
    show_table(f"{len(queries)} queries, {len(corpus)} documents", ["", *MEASURES], rows)


def held_out(path: Path) -> tuple[list[str], dict[str, int]]:
    """Return all documents of an evaluation set, and the index of each query's right one."""
    corpus: dict[str, int] = {}
    queries = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        data = json.loads(line)
        for document in data["documents"]:
            corpus.setdefault(document, len(corpus))
        queries[data["query"]] = corpus[data["documents"][data["relevance"].index(1)]]
    return list(corpus), queries


def best(scores: NDArray[np.float64]) -> dict[str, float]:
    """Return the 50 highest scores by the documents' ids."""
    return {str(i): float(scores[i]) for i in np.argsort(-scores, kind="stable")[:50]}


def scores_of(hits: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the scores of a cascade's hits by the documents' ids."""
    return {str(hit["corpus_id"]): hit["score"] for hit in hits}


def write(path: Path, lines: Sequence[Mapping[str, str]]) -> None:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
