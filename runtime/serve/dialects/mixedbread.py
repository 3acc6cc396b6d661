"""Mixedbread: documents are `input`, in the answer too."""

from typing import ClassVar, Literal

from pydantic import AliasChoices, BaseModel, Field

from onnxrank.serve.dialects.fields import Documents, RerankBody, example
from onnxrank.serve.dialects.ranking import Ranking, Report, Usage, report, usage


class MixedbreadRerank(RerankBody):
    """What Mixedbread calls `input`, `top_k` and `return_input`."""

    documents_name: ClassVar[str] = "input"

    documents: Documents = Field(validation_alias="input")
    top_n: int | None = Field(
        None, ge=1, validation_alias=AliasChoices("top_k", "top_n"), description="Only so many of the best."
    )
    return_documents: bool = Field(
        False, validation_alias="return_input", description="Put each document's text into the answer."
    )

    model_config = example(documents="input", return_input=True)

    def render(self, ranking: Ranking) -> "MixedbreadRanking":
        return MixedbreadRanking(
            model=ranking.model,
            data=[MixedbreadHit(index=hit.index, score=hit.score, input=hit.text) for hit in ranking.hits],
            usage=usage(ranking.outcome),
            meta=report(ranking.outcome),
            return_input=self.return_documents,
        )


class MixedbreadHit(BaseModel):
    index: int
    score: float
    input: str | None = None
    object: Literal["rank_result"] = "rank_result"


class MixedbreadRanking(BaseModel):
    """Best first."""

    object: Literal["list"] = "list"
    model: str
    data: list[MixedbreadHit]
    usage: Usage
    meta: Report
    return_input: bool
