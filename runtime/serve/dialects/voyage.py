"""Voyage: `top_k` or `truncation`; the answer has `data`."""

from typing import Literal

from pydantic import AliasChoices, BaseModel, Field

from onnxrank.serve.dialects.fields import RerankBody, example
from onnxrank.serve.dialects.ranking import Ranking, Report, StringHit, Usage, report, string_hits, usage


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

    model_config = example(top_k=1, truncation=True)

    def render(self, ranking: Ranking) -> "VoyageRanking":
        return VoyageRanking(
            model=ranking.model,
            data=string_hits(ranking),
            usage=usage(ranking.outcome),
            meta=report(ranking.outcome),
        )


class VoyageRanking(BaseModel):
    """Best first."""

    object: Literal["list"] = "list"
    model: str
    data: list[StringHit]
    usage: Usage
    meta: Report
