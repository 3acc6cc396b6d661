"""The pairs that every export is verified on: several languages and scripts, from empty texts to the longest."""

from pathlib import Path

from tokenizers import Tokenizer

from onnxrank.artifact.golden import GoldenPair
from onnxrank.artifact.schema import parse
from onnxrank.errors import CheckpointError
from onnxrank.export.checkpoint.tokenizer import fixed_token_ids

# Labelled candidates that a checkpoint folder may contain.
EVALUATION = "evaluation.jsonl"
EVALUATION_QUERIES = 10

PAIRS = {
    "What is the capital of China?": (
        "The capital of China is Beijing.",
        "Shanghai is the largest city of China and a global centre of finance and shipping.",
        "Beijing",
        "",
    ),
    "Explain gravity": (
        "Gravity is a force that attracts two bodies towards each other. It gives weight to physical objects and is "
        "responsible for the movement of planets around the sun.",
        "Bread is baked from flour, water, salt and yeast.",
        "gravity gravity gravity",
    ),
    "Wie wird Käse hergestellt?": (
        "Käse entsteht, wenn Milch mit Lab oder Säure gerinnt; der Bruch wird geschnitten, gepresst und gereift.",
        "Der Rhein entspringt in den Alpen und mündet in die Nordsee.",
    ),
    "光合作用是什么？": (
        "光合作用是植物利用光能将二氧化碳和水转化为有机物并释放氧气的过程。",
        "北京是中华人民共和国的首都。",
        "\u00e9\u0301 \u200d\u2028 naïve \U0001f331\U0001f9ea",
    ),
    "как работает двигатель внутреннего сгорания": (
        "Смесь топлива и воздуха сжимается и воспламеняется в цилиндре, а поршень передаёт силу на коленчатый вал.",
        "La tour Eiffel se trouve à Paris.",
    ),
    "def parse_date(text: str) -> datetime": (
        "```python\nfrom datetime import datetime\n\ndef parse_date(text):\n    "
        'return datetime.strptime(text, "%Y-%m-%d")\n```',
        "  \n\ttabs, newlines and    runs of spaces \n\n",
    ),
    "ما هي عاصمة مصر؟": ("القاهرة هي عاصمة جمهورية مصر العربية وأكبر مدنها.",),
}
FILLER = (
    "The committee met on the second Tuesday of the month to discuss the library's opening hours, the repair of the "
    "west roof and the yearly inventory. Minutes were taken, read back and approved without changes. "
)


def golden_pairs(tokenizer: Tokenizer, folder: Path, *, max_length: int, proof_length: int) -> list[GoldenPair]:
    """Return the pairs to score; one is only tokenized if scoring a text of max_length would take minutes.

    proof_length: tokens of the longest text that is scored.
    """
    pairs = [_pair(query, document) for query, documents in PAIRS.items() for document in documents]
    per_filler = max(1, len(fixed_token_ids(tokenizer, FILLER)))
    answer = "Beijing has been the capital of China since 1949."
    for length in sorted({proof_length // 4, proof_length}):
        pairs.append(_pair("What is the capital of China?", FILLER * (length // per_filler) + answer))
    overlong = FILLER * (max_length // per_filler + 2)
    pairs.append(_pair("Explain gravity", overlong, scored=max_length <= proof_length))
    return pairs + _evaluation_pairs(folder / EVALUATION)


def _evaluation_pairs(path: Path) -> list[GoldenPair]:
    if not path.is_file():
        return []
    try:
        entries = [parse(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return [_pair(e["query"], text) for e in entries[:EVALUATION_QUERIES] for text in e["documents"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no list of queries with documents ({error!r}); remove the file.") from error


def _pair(query: str, document: str, *, scored: bool = True) -> GoldenPair:
    logits = (0.0,) if scored else None
    return GoldenPair(query=query, document=document, query_token_ids=(), token_ids=(), logits=logits)
