"""The long-document test: does a model find the answer at the end of a long document?

Each case has a document with the answer and one of the same length without it; the first should score higher. A model
that cuts off the end reads the same text twice and gives both the same score. The test follows the model card of
mmbert-rerank-32k-2d-matryoshka, which puts the answer at the start and at the end of about 1,500 tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from onnxrank.progress import Done
from onnxrank.reranker import Reranker

POSITIONS = ("start", "end")
# (query, sentence that answers it, sentence on the same subject that does not)
CASES = (
    (
        "sort the values of an array along an axis",
        "The function sort returns a copy of an array whose values are sorted along the given axis.",
        "The function reshape returns a copy of an array whose values have another shape.",
    ),
    (
        "What is the capital of France?",
        "Paris has been the capital of France since the year 987.",
        "Wine has been made in the south of France since the year 600 before Christ.",
    ),
    (
        "compute the determinant of a matrix",
        "The function det computes the determinant of a square matrix.",
        "The function trace computes the sum along the diagonal of a square matrix.",
    ),
    (
        "Who discovered penicillin?",
        "Penicillin was discovered by Alexander Fleming, who found a mould in a dish in 1928.",
        "The telephone was patented by Alexander Graham Bell, who filed his papers in 1876.",
    ),
    (
        "read a csv file into a table",
        "The function read_csv reads a csv file into a table with named columns.",
        "The function concat joins several tables along the rows or the columns.",
    ),
    (
        "How does photosynthesis work?",
        "In photosynthesis plants use chlorophyll and the energy of light to turn water and carbon dioxide into sugar.",
        "In fermentation yeast turns sugar into alcohol and carbon dioxide, without any light.",
    ),
)
FILLER = (
    "The committee met on the second Tuesday of the month and took minutes. The west roof was repaired in spring. "
    "The yearly inventory counted chairs, lamps and shelves. Opening hours stay as they are until further notice. "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LongDocuments:
    """accuracy: by position of the answer, the fraction of cases in which the document with the answer scored higher.
    truncated: the fraction of documents that were cut."""

    max_length: int
    accuracy: dict[str, float]
    truncated: float


def run_long_documents(reranker: Reranker, *, tokens: int = 1500, done: Done = lambda count: None) -> LongDocuments:
    """Score every case; `tokens` is the approximate length of a document."""
    length = reranker.score([("", FILLER)]).tokens[0] - reranker.score([("", "")]).tokens[0]
    filler = FILLER * max(1, round(tokens / length))
    accuracy: dict[str, float] = {}
    cut: list[bool] = []
    for position in POSITIONS:
        right = 0
        for query, answer, other in CASES:
            scores = reranker.score([(query, _document(text, filler, position)) for text in (answer, other)])
            right += bool(scores.logits[0] > scores.logits[1])
            cut += scores.truncated.tolist()
            done(1)
        accuracy[position] = right / len(CASES)
    return LongDocuments(max_length=reranker.max_length, accuracy=accuracy, truncated=sum(cut) / len(cut))


def _document(text: str, filler: str, position: str) -> str:
    return f"{text} {filler}" if position == "start" else f"{filler}{text}"


def long_document_rows(name: str, results: Sequence[LongDocuments]) -> list[list[str]]:
    """Return a row of text for each result: artifact, max_length, accuracy by position, fraction of documents cut."""
    return [
        [name, str(r.max_length), *(f"{r.accuracy[position]:.0%}" for position in POSITIONS), f"{r.truncated:.0%}"]
        for r in results
    ]
