"""TEI: `texts` instead of documents, a bare list as the answer, errors of its own."""

from typing import ClassVar

from pydantic import BaseModel, Field, RootModel

from onnxrank.serve.dialects.fields import Documents, RerankBody, example
from onnxrank.serve.dialects.ranking import Ranking

# By HTTP status; every other is a Validation.
_ERROR_TYPES = {424: "Backend", 429: "Overloaded", 503: "Unhealthy", 504: "Overloaded"}


class TeiRerank(RerankBody):
    """What TEI calls `texts` and `return_text`."""

    documents_name: ClassVar[str] = "texts"

    documents: Documents = Field(validation_alias="texts")
    return_documents: bool = Field(
        False, validation_alias="return_text", description="Put each document's text into the answer."
    )

    model_config = example(documents="texts", return_text=True)

    def render(self, ranking: Ranking) -> "TeiRanking":
        truncated = set(ranking.outcome.truncated)
        hits = [
            TeiHit(index=hit.index, score=hit.score, text=hit.text, truncated=hit.index in truncated or None)
            for hit in ranking.hits
        ]
        bad = [TeiHit(index=i, error=message) for i, message in sorted(ranking.outcome.errors.items())]
        return TeiRanking(hits + bad)


class TeiHit(BaseModel):
    """truncated: only there if true. error: instead of a score, with `on_error: partial`."""

    index: int
    score: float | None = None
    text: str | None = None
    truncated: bool | None = None
    error: str | None = None


class TeiRanking(RootModel[list[TeiHit]]):
    """Best first."""


class TeiError(BaseModel):
    error: str
    error_type: str

    @classmethod
    def of(cls, status: int, message: str) -> "TeiError":
        return cls(error=message, error_type=_ERROR_TYPES.get(status, "Validation"))


class Label(BaseModel):
    """TEI's description of a reranker: the one label that a score is of."""

    id2label: dict[str, str] = {"0": "LABEL_0"}
    label2id: dict[str, int] = {"LABEL_0": 0}


class Pooling(BaseModel):
    """TEI's description of an embedder."""

    pooling: str = "mean"


class TeiInfo(BaseModel):
    """What is served; `model_sha` is a hash of the weights' files. What is null has no limit, or no meaning here."""

    model_id: str
    model_sha: str
    model_dtype: str
    model_type: dict[str, Label | Pooling]
    max_concurrent_requests: int | None = None
    max_input_length: int
    max_batch_tokens: int
    max_batch_requests: int | None = None
    max_client_batch_size: int
    auto_truncate: bool = True
    tokenization_workers: int
    version: str
    sha: str | None = None
    docker_label: str | None = None
