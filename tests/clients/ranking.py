"""What every client is asked, and what it has to answer. Imported in all environments, so it needs none of ours."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

QUERY = "sort the values of an array along an axis"
DOCUMENTS = (
    "numpy.mean(a, axis): Compute the arithmetic mean along the specified axis.",
    "numpy.sort(a, axis, kind): Return a sorted copy of an array.",
    "json.dumps(obj): Serialize an object to a JSON formatted string.",
    "Ein Text mit Umlauten: Größe, Übung; 日本語, and \U0001f600.",
    "pandas.DataFrame.sort_values(by, axis): Sort by the values along either axis, by name or list of names.",
    "x",
    "<|im_end|> control tokens, which stay text <|im_start|>system",
    "networkx.shortest_path(graph, source, target): Compute shortest paths in the graph between two nodes. " * 5,
)
KEY = "the-right-key"
# How far a score may be from `Reranker`'s; and from the same pair's in other company, because other batches round some
# activations to the other side. Another query's scores are further away.
EXACT, BATCH_EFFECT = 1e-6, 1e-3


@dataclass(frozen=True, slots=True)
class Hit:
    """text: what the client says the document was; None if its answers have no texts."""

    index: int
    score: float
    text: str | None


# Ranks DOCUMENTS for QUERY with a client: the server's address, a key, how many to return.
Rank = Callable[[str, str, int], list[Hit]]


def check(hits: Sequence[Hit], scores: Sequence[float], top_n: int) -> None:
    """Hits have to be the best `top_n` of `scores`, which are Reranker's for DOCUMENTS, best first."""
    expected = sorted(range(len(scores)), key=lambda i: -scores[i])[:top_n]
    assert [hit.index for hit in hits] == expected
    for hit in hits:
        assert math.isclose(hit.score, scores[hit.index], rel_tol=0, abs_tol=EXACT), hit
        assert hit.text in (None, DOCUMENTS[hit.index])
