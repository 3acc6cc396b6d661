"""The fields that bodies have in common. A dialect with another name for one gives it an alias."""

import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from onnxrank.serve.dialects.ranking import Ranking
from onnxrank.serve.requests import LongDocuments, Priority, ScoreRequest, TruncationSide


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _priority(value: Any) -> Any:
    """Return the class of a priority that is a number: Cohere's and vLLM's default is 0, and lower is more urgent."""
    if isinstance(value, int) and not isinstance(value, bool):
        return "normal" if value == 0 else "high" if value < 0 else "low"
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_DOCUMENT = {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}
_DOCUMENTS = {
    "type": "array",
    "minItems": 1,
    "items": _DOCUMENT,
    "description": "Strings, objects with `text`, or objects with the fields of the model's document template.",
}
_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}]}
# Read one by one later, because a bad one need not fail the request.
Documents = Annotated[list[Any], WithJsonSchema(_DOCUMENTS)]
# A string is a list of one.
OneOrMoreDocuments = Annotated[
    list[Any], BeforeValidator(_listed), WithJsonSchema({"anyOf": [{"type": "string"}, _DOCUMENTS]})
]
OneOrMoreTexts = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1), WithJsonSchema(_TEXTS)]
PriorityField = Annotated[
    Priority,
    BeforeValidator(_priority),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "enum": ["high", "normal", "low"]}, {"type": "integer"}],
            "description": "Of two waiting requests, which is scored first; below 0 is high, above 0 is low.",
            "default": "normal",
        }
    ),
]


def example(documents: str = "documents", **fields: Any) -> ConfigDict:
    """Return the configuration that documents a body by an example: what the dialect calls documents, and its own
    fields."""
    texts = ["numpy.sort: a sorted copy of an array", "numpy.mean: the average"]
    body = {"model": "demo", "query": "sort the values of an array", documents: texts, **fields}
    return ConfigDict(json_schema_extra={"examples": [body]})


class Body(BaseModel):
    """Unknown fields are ignored, and null is the same as left out, because clients send both."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False, serialize_by_alias=True)

    model: str | None = Field(None, max_length=256, description="A served model's name; any if there is but one.")
    instruction: str | None = Field(
        None,
        validation_alias=AliasChoices("instruction", "instruct", "task"),
        description="What counts as relevant, in a sentence; also `instruct` or `task`.",
    )
    priority: PriorityField = "normal"
    timeout: float | None = Field(None, gt=0, description="Seconds after which the answer is of no use.")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data

    def deadline(self, longest: float) -> float:
        """Return when the request ends on `time.monotonic`'s clock, `longest` seconds from now at the latest."""
        return time.monotonic() + min(longest, self.timeout or longest)


class ScoringBody(Body):
    """What may be asked of scores, in every dialect."""

    raw_scores: bool = Field(False, description="Logits instead of the model's scores.")
    max_tokens_per_doc: int | None = Field(
        None,
        ge=1,
        validation_alias=AliasChoices("max_tokens_per_doc", "truncate_prompt_tokens"),
        description="Cut documents to so many tokens; also `truncate_prompt_tokens`.",
    )
    truncation_side: Annotated[TruncationSide, BeforeValidator(_lower)] = Field(
        "right",
        validation_alias=AliasChoices("truncation_side", "truncation_direction"),
        description="Which end of a long document is cut; also `truncation_direction`.",
    )
    truncate: bool = Field(True, description="false is `long_documents: error`.")
    long_documents: LongDocuments | None = Field(
        None, description="Cut them, score them by their best window, or refuse them; `truncate` by default."
    )
    on_error: Literal["fail", "partial"] = Field(
        "fail", description="partial: a document that cannot be scored gets an error of its own."
    )
    use_activation: bool = Field(True, description="false is `raw_scores: true`.")

    @model_validator(mode="before")
    @classmethod
    def _whole_prompts(cls, data: Any) -> Any:
        """vLLM's -1 is the model's own limit."""
        if isinstance(data, dict) and data.get("truncate_prompt_tokens") == -1:
            return {key: value for key, value in data.items() if key != "truncate_prompt_tokens"}
        return data

    @property
    def raw(self) -> bool:
        """Whether answers hold logits."""
        return self.raw_scores or not self.use_activation

    @property
    def partial(self) -> bool:
        return self.on_error == "partial"

    def request(self, pairs: Sequence[tuple[str, str]], longest: float) -> ScoreRequest:
        """Return what to score; `longest` is the server's timeout in seconds."""
        return ScoreRequest(
            pairs=tuple(pairs),
            instruction=self.instruction,
            long_documents=self.long_documents or ("truncate" if self.truncate else "error"),
            max_tokens_per_doc=self.max_tokens_per_doc,
            truncation_side=self.truncation_side,
            partial=self.partial,
            priority=self.priority,
            deadline=self.deadline(longest),
        )


class RerankBody(ScoringBody):
    """A query and documents, under the names that most dialects give them."""

    documents_name: ClassVar[str] = "documents"

    query: str
    documents: Documents
    top_n: int | None = Field(None, ge=0, description="Only so many of the best; 0 is all.")
    return_documents: bool = Field(False, description="Put each document's text into the answer.")
    score_threshold: float | None = Field(None, description="Leave out what scores below this.")

    @abstractmethod
    def render(self, ranking: Ranking) -> BaseModel:
        """Return the answer as the dialect writes it."""
