"""Which dialect a body speaks, where several share a route: the fields that only one of them has decide."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from onnxrank.serve.dialects.cohere import CohereRerank
from onnxrank.serve.dialects.infinity import InfinityRerank
from onnxrank.serve.dialects.openai import EmbeddingsBody
from onnxrank.serve.dialects.tei import TeiRerank
from onnxrank.serve.dialects.vllm_score import ScorePairs
from onnxrank.serve.dialects.voyage import VoyageRerank


def rerank_dialect(body: Any) -> str:
    """Return the tag of a body with a query."""
    fields = body if isinstance(body, dict) else {}
    if "texts" in fields:
        return "tei"
    if "top_k" in fields or "truncation" in fields:
        return "voyage"
    return "infinity" if "raw_scores" in fields else "cohere"


def invocation_dialect(body: Any) -> str:
    """Return the tag of a body of any kind."""
    fields = body if isinstance(body, dict) else {}
    if "input" in fields:
        return "embeddings"
    return rerank_dialect(body) if "query" in fields else "score"


AnyRerank = Annotated[
    Annotated[CohereRerank, Tag("cohere")]
    | Annotated[InfinityRerank, Tag("infinity")]
    | Annotated[TeiRerank, Tag("tei")]
    | Annotated[VoyageRerank, Tag("voyage")],
    Discriminator(rerank_dialect),
]
Invocation = Annotated[
    Annotated[CohereRerank, Tag("cohere")]
    | Annotated[InfinityRerank, Tag("infinity")]
    | Annotated[TeiRerank, Tag("tei")]
    | Annotated[VoyageRerank, Tag("voyage")]
    | Annotated[ScorePairs, Tag("score")]
    | Annotated[EmbeddingsBody, Tag("embeddings")],
    Discriminator(invocation_dialect),
]
