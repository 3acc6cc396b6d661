"""OpenAI's /v1/embeddings and /v1/models."""

import base64
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from onnxrank.serve.dialects.fields import Body, OneOrMoreTexts
from onnxrank.serve.dialects.ranking import Report, Usage
from onnxrank.serve.requests import EmbedOutcome, EmbedRequest


class EmbeddingsBody(Body):
    """Texts, never token ids: tokenizers differ between models."""

    input: OneOrMoreTexts
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="Refused unless it is the model's own width.")
    input_type: Literal["query", "document", "search_query", "search_document"] = Field(
        "document", description="Models prompt queries and documents differently."
    )

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"input": ["numpy.sort: a sorted copy of an array"], "model": "demo"}]}
    )

    def request(self, longest: float) -> EmbedRequest:
        """Return what to embed; `longest` is the server's timeout in seconds."""
        return EmbedRequest(
            texts=tuple(self.input),
            is_query=self.input_type.endswith("query"),
            instruction=self.instruction,
            priority=self.priority,
            deadline=self.deadline(longest),
        )

    def render(self, outcome: EmbedOutcome, model: str) -> "EmbeddingList":
        encode = _base64 if self.encoding_format == "base64" else _numbers
        return EmbeddingList(
            model=model,
            data=[Embedding(index=i, embedding=encode(vector)) for i, vector in enumerate(outcome.vectors)],
            usage=Usage(prompt_tokens=outcome.tokens, total_tokens=outcome.tokens),
            meta=Report(truncated=sorted(outcome.truncated)),
        )


def _numbers(vector: NDArray[np.float32]) -> list[float] | str:
    numbers: list[float] = vector.tolist()
    return numbers


def _base64(vector: NDArray[np.float32]) -> list[float] | str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


class Embedding(BaseModel):
    """A list of numbers or, as `base64`, of little-endian float32."""

    index: int
    object: Literal["embedding"] = "embedding"
    embedding: list[float] | str


class EmbeddingList(BaseModel):
    """In input order."""

    object: Literal["list"] = "list"
    model: str
    data: list[Embedding]
    usage: Usage
    meta: Report


class ModelCard(BaseModel):
    """kind: which routes the model is for. max_model_len: tokens of a prompt."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["onnxrank"] = "onnxrank"
    kind: Literal["reranker", "late-interaction", "embedder"]
    variant: str
    max_model_len: int


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]
