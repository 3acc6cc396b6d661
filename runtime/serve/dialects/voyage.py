"""Voyage: `top_k` or `truncation`; the answer has `data`."""

from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from onnxrank.serve.dialects.fields import RerankBody
from onnxrank.serve.dialects.ranking import Ranking, Report, Usage, report, usage


class VoyageRerank(RerankBody):
    """What Voyage calls `documents` and `top_k`."""

    top_n: int | None = Field(
        None, ge=1, validation_alias=AliasChoices("top_k", "top_n"), description="Only so many of the best."
    )
    truncate: bool = Field(
        True,
        validation_alias=AliasChoices("truncation", "truncate"),
        description="false is `long_documents: error`.",
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "demo",
                    "query": "sort the values of an array",
                    "documents": ["numpy.sort: a sorted copy of an array", "numpy.mean: the average"],
                    "top_k": 1,
                    "truncation": True,
                }
            ]
        }
    )

    def render(self, ranking: Ranking) -> "VoyageRanking":
        return VoyageRanking(
            model=ranking.model,
            data=[
                VoyageHit(
                    index=hit.index,
                    relevance_score=hit.score,
                    document=hit.text,
                )
                for hit in ranking.hits
            ],
            usage=usage(ranking.outcome),
            meta=report(ranking.outcome),
        )


class VoyageHit(BaseModel):
    index: int
    relevance_score: float
    document: str | None = None


class VoyageRanking(BaseModel):
    """Best first."""

    object: Literal["list"] = "list"
    model: str
    data: list[VoyageHit]
    usage: Usage
    meta: Report
