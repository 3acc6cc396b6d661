"""Infinity: `raw_scores` with `documents`; a returned document is a string."""

from typing import Literal

from pydantic import BaseModel, Field

from onnxrank.serve.dialects.fields import RerankBody, example
from onnxrank.serve.dialects.ranking import Ranking, Report, StringHit, Usage, report, string_hits, usage


class InfinityRerank(RerankBody):
    """What Infinity calls `documents` and `top_n`, which has to be 1 or more."""

    top_n: int | None = Field(None, ge=1, description="Only so many of the best.")

    model_config = example(raw_scores=True, return_documents=True)

    def render(self, ranking: Ranking) -> "InfinityRanking":
        return InfinityRanking(
            id=ranking.id,
            created=ranking.created,
            model=ranking.model,
            results=string_hits(ranking),
            usage=usage(ranking.outcome),
            meta=report(ranking.outcome),
        )


class InfinityRanking(BaseModel):
    """Best first."""

    id: str
    object: Literal["rerank"] = "rerank"
    created: int
    model: str
    results: list[StringHit]
    usage: Usage
    meta: Report
