"""Infinity: `raw_scores` with `documents`; a returned document is a string."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from onnxrank.serve.dialects.fields import RerankBody
from onnxrank.serve.dialects.ranking import Ranking, Report, Usage, report, usage


class InfinityRerank(RerankBody):
    """What Infinity calls `documents` and `top_n`, which has to be 1 or more."""

    top_n: int | None = Field(None, ge=1, description="Only so many of the best.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "demo",
                    "query": "sort the values of an array",
                    "documents": ["numpy.sort: a sorted copy of an array", "numpy.mean: the average"],
                    "raw_scores": True,
                    "return_documents": True,
                }
            ]
        }
    )

    def render(self, ranking: Ranking) -> "InfinityRanking":
        return InfinityRanking(
            id=ranking.id,
            created=ranking.created,
            model=ranking.model,
            results=[
                InfinityHit(
                    index=hit.index,
                    relevance_score=hit.score,
                    document=hit.text,
                )
                for hit in ranking.hits
            ],
            usage=usage(ranking.outcome),
            meta=report(ranking.outcome),
        )


class InfinityHit(BaseModel):
    index: int
    relevance_score: float
    document: str | None = None


class InfinityRanking(BaseModel):
    """Best first."""

    id: str
    object: Literal["rerank"] = "rerank"
    created: int
    model: str
    results: list[InfinityHit]
    usage: Usage
    meta: Report
