"""Cohere's v1 and v2, with what Jina, vLLM, Together and KServe put into their answers besides."""

from typing import Literal

from pydantic import BaseModel

from onnxrank.serve.dialects.fields import RerankBody, example
from onnxrank.serve.dialects.ranking import Meta, Ranking, Usage, meta, usage


class CohereRerank(RerankBody):
    """What Cohere, Jina and vLLM call `documents` and `top_n`."""

    model_config = example(top_n=1)

    def render(self, ranking: Ranking) -> "CohereRanking":
        return CohereRanking(
            id=ranking.id,
            model=ranking.model,
            results=[
                CohereHit(
                    index=hit.index,
                    relevance_score=hit.score,
                    document=None if hit.text is None else Text(text=hit.text),
                )
                for hit in ranking.hits
            ],
            usage=usage(ranking.outcome),
            meta=meta(ranking),
        )


class Text(BaseModel):
    text: str


class CohereHit(BaseModel):
    index: int
    relevance_score: float
    document: Text | None = None


class CohereRanking(BaseModel):
    """Best first."""

    id: str
    object: Literal["rerank"] = "rerank"
    model: str
    results: list[CohereHit]
    usage: Usage
    meta: Meta
