"""Isaacus: documents are `texts`, as TEI has them, and the answer has `results`."""

from typing import ClassVar

from pydantic import BaseModel, Field

from onnxrank.serve.dialects.fields import Documents, RerankBody, example
from onnxrank.serve.dialects.ranking import Ranking, Report, report


class IsaacusRerank(RerankBody):
    """What Isaacus calls `texts` and `top_n`."""

    documents_name: ClassVar[str] = "texts"

    documents: Documents = Field(validation_alias="texts")

    model_config = example(documents="texts", top_n=1)

    def render(self, ranking: Ranking) -> "IsaacusRanking":
        return IsaacusRanking(
            results=[IsaacusHit(index=hit.index, score=hit.score) for hit in ranking.hits],
            usage=InputTokens(input_tokens=ranking.outcome.tokens),
            meta=report(ranking.outcome),
        )


class IsaacusHit(BaseModel):
    index: int
    score: float


class InputTokens(BaseModel):
    input_tokens: int


class IsaacusRanking(BaseModel):
    """Best first."""

    results: list[IsaacusHit]
    usage: InputTokens
    meta: Report
