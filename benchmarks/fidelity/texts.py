"""Queries with candidates, for training and for the held-out sets, from pairs of a query and the document it fits."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.demo.candidates import BM25, find_negatives
from benchmarks.demo.texts import Pair, download, harvest
from benchmarks.fidelity.packages import descriptions

# Packages are held out in blocks, so that a held-out query's candidates are held out with it.
BLOCK, EVERY = 50, 6
CANDIDATES = 20
HARD, NEIGHBOURS = 7, 6
QUERIES = {"descriptions": 1_000, "docstrings": 500}
DOCSTRINGS = Path("build/demo-texts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """A query, its documents, and the index of the one that fits it."""

    query: str
    documents: tuple[str, ...]
    right: int


def training_pairs() -> list[Pair]:
    """Return the descriptions that are not held out, in the order of Debian's list."""
    return [pair for i, pair in enumerate(descriptions()) if i // BLOCK % EVERY]


def training(pairs: Sequence[Pair], seed: int, count: int) -> Iterator[Candidates]:
    """Yield queries without end, each with its document first, then neighbours of the same source and random ones."""
    rng = random.Random(seed)
    while True:
        i = rng.randrange(8, len(pairs) - 8)
        near = [i + step for step in rng.sample([*range(-8, 0), *range(1, 9)], count // 2)]
        others = [rng.randrange(len(pairs)) for _ in range(count - 1 - len(near))]
        chosen = [i, *near, *others]
        yield Candidates(query=pairs[i].query, documents=tuple(pairs[j].document for j in chosen), right=0)


def held_out(name: str, folder: Path) -> list[Candidates]:
    """Return a held-out set, "descriptions" or "docstrings", and keep it in `folder`."""
    path = folder / f"{name}.jsonl"
    if not path.exists():
        if name == "descriptions":
            pairs = [pair for i, pair in enumerate(descriptions()) if not i // BLOCK % EVERY]
        else:
            download(DOCSTRINGS)
            pairs = harvest(DOCSTRINGS)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(_line(found)) for found in _candidates(pairs, QUERIES[name])]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [_read(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _candidates(pairs: Sequence[Pair], queries: int) -> Iterator[Candidates]:
    """Yield queries, each with its document, BM25's best others, neighbours, and random documents, in random order."""
    rng = random.Random(0)
    hard = find_negatives(pairs, BM25([pair.document for pair in pairs])).hard
    for i in rng.sample(range(len(pairs)), queries):
        chosen = [i, *hard[i][:HARD]]
        near = [j for j in range(max(0, i - 8), min(len(pairs), i + 9)) if j not in chosen]
        chosen += rng.sample(near, NEIGHBOURS)
        chosen += rng.sample([j for j in range(len(pairs)) if j not in chosen], CANDIDATES - len(chosen))
        rng.shuffle(chosen)
        documents = tuple(pairs[j].document for j in chosen)
        yield Candidates(query=pairs[i].query, documents=documents, right=chosen.index(i))


def _line(found: Candidates) -> dict[str, object]:
    relevance = [int(i == found.right) for i in range(len(found.documents))]
    return {"query": found.query, "documents": found.documents, "relevance": relevance}


def _read(line: str) -> Candidates:
    entry = json.loads(line)
    return Candidates(query=entry["query"], documents=tuple(entry["documents"]), right=entry["relevance"].index(1))
