"""The pairs that every export is verified on: graded candidates in many languages and scripts and in code, texts that
break tokenizers, and texts of up to the longest.

`golden_pairs.jsonl` was written for this project and is under its licence. A line of it is {"language", "query",
"documents": [...], "relevance": [...]}; relevance is 2 for an answer, 1 for a part of one, 0 for another text on the
topic or on another topic. The first lines are of many kinds, because some checks read only the first pairs.
"""

from pathlib import Path

from tokenizers import Tokenizer

from onnxrank.artifact.golden import GoldenPair
from onnxrank.artifact.schema import parse
from onnxrank.errors import CheckpointError
from onnxrank.export.checkpoint.tokenizer import fixed_token_ids

FILE = Path(__file__).with_name("golden_pairs.jsonl")
# Labelled candidates that a checkpoint folder may contain.
EVALUATION = "evaluation.jsonl"
EVALUATION_QUERIES = 10

FILLER = (
    "The committee met on the second Tuesday of the month to discuss the library's opening hours, the repair of the "
    "west roof and the yearly inventory. Minutes were taken, read back and approved without changes. "
)
# The query of the first line of the file, an answer to it, and the grade of an answer behind filler.
QUERY, ANSWER, BEHIND_FILLER = "What is the capital of China?", "Beijing has been the capital of China since 1949.", 1


def golden_pairs(tokenizer: Tokenizer, folder: Path, *, max_length: int, proof_length: int) -> list[GoldenPair]:
    """Return the pairs to score; one is only tokenized if scoring a text of max_length would take minutes.

    proof_length: tokens of the longest text that is scored. The long texts come first, then the file's.
    Raises CheckpointError if the folder's own evaluation set is damaged.
    """
    per_filler = max(1, len(fixed_token_ids(tokenizer, FILLER)))
    pairs = [
        _pair(QUERY, FILLER * (length // per_filler) + ANSWER, BEHIND_FILLER)
        for length in sorted({proof_length // 4, proof_length})
    ]
    overlong = FILLER * (max_length // per_filler + 2)
    pairs.append(_pair(QUERY, overlong, 0, scored=max_length <= proof_length))
    return [*pairs, *read_pairs(FILE), *_evaluation_pairs(folder / EVALUATION)]


def read_pairs(path: Path, queries: int | None = None) -> list[GoldenPair]:
    """Return the pairs of a file's first queries, all by default, with their relevance; they are still to be scored."""
    with path.open(encoding="utf-8") as lines:  # str.splitlines would also split at the line separators in texts
        entries = [parse(line) for line in lines]
    return [
        _pair(entry["query"], document, relevance)
        for entry in entries[:queries]
        for document, relevance in zip(entry["documents"], entry["relevance"], strict=True)
    ]


def _evaluation_pairs(path: Path) -> list[GoldenPair]:
    if not path.is_file():
        return []
    try:
        return read_pairs(path, EVALUATION_QUERIES)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no list of queries with documents ({error!r}); remove the file.") from error


def _pair(query: str, document: str, relevance: int, *, scored: bool = True) -> GoldenPair:
    logits = (0.0,) if scored else None
    return GoldenPair(
        query=query, document=document, query_token_ids=(), token_ids=(), logits=logits, relevance=relevance
    )
