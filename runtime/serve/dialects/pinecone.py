"""Pinecone: documents are objects, and the answer has `data`."""

import math

from pydantic import BaseModel

from onnxrank.serve.dialects.cohere import Text
from onnxrank.serve.dialects.fields import RerankBody, example
from onnxrank.serve.dialects.ranking import Ranking, Report, report


class PineconeRerank(RerankBody):
    """What Pinecone calls `documents` and `top_n`."""

    model_config = example(top_n=1)

    def render(self, ranking: Ranking) -> "PineconeRanking":
        return PineconeRanking(
            model=ranking.model,
            data=[
                PineconeHit(
                    index=hit.index, score=hit.score, document=None if hit.text is None else Text(text=hit.text)
                )
                for hit in ranking.hits
            ],
            usage=RerankUnits(rerank_units=math.ceil(ranking.documents / 100)),
            meta=report(ranking.outcome),
        )


class PineconeHit(BaseModel):
    index: int
    score: float
    document: Text | None = None


class RerankUnits(BaseModel):
    rerank_units: int


class PineconeRanking(BaseModel):
    """Best first; a unit is up to 100 documents."""

    model: str
    data: list[PineconeHit]
    usage: RerankUnits
    meta: Report
