"""vLLM's /score: pairs in four spellings, answered in input order."""

from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from onnxrank.errors import InputError
from onnxrank.serve.dialects.fields import OneOrMoreDocuments, OneOrMoreTexts, ScoringBody
from onnxrank.serve.dialects.ranking import Ranking, Report, Usage, report, usage


class ScorePairs(ScoringBody):
    """One query for all documents, or as many queries as documents; also called `text_1` and `text_2`, `data_1` and
    `data_2`, or `queries` and `items`."""

    queries: OneOrMoreTexts = Field(validation_alias=AliasChoices("queries", "text_1", "data_1"))
    documents: OneOrMoreDocuments = Field(validation_alias=AliasChoices("documents", "text_2", "data_2", "items"))

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "demo",
                    "queries": "sort the values of an array",
                    "documents": ["numpy.sort: a sorted copy of an array", "numpy.mean: the average"],
                }
            ]
        }
    )

    def query_of_each(self) -> list[str]:
        """Return a query for each document. Raises InputError if they do not pair up."""
        queries, documents = len(self.queries), len(self.documents)
        if queries not in (1, documents):
            raise InputError(
                f"there are {queries} queries and {documents} documents; give one query, or one for each document."
            )
        return self.queries * documents if queries == 1 else self.queries

    def render(self, ranking: Ranking) -> "ScoreList":
        return ScoreList(
            id=ranking.id,
            created=ranking.created,
            model=ranking.model,
            data=[Score(index=hit.index, score=hit.score) for hit in ranking.hits],
            usage=usage(ranking.outcome),
            meta=report(ranking.outcome),
        )


class Score(BaseModel):
    index: int
    object: Literal["score"] = "score"
    score: float


class ScoreList(BaseModel):
    """In input order; a pair without a score is left out, and `meta.errors` says why."""

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    data: list[Score]
    usage: Usage
    meta: Report
