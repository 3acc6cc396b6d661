"""The error body of every dialect but TEI: OpenAI's `error`, with the top-level fields that other clients read."""

from pydantic import BaseModel

# OpenAI's names by HTTP status; every other is an invalid_request_error.
_TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 504: "timeout_error"}


class Problem(BaseModel):
    message: str
    type: str
    param: str | None = None
    code: int


class ErrorBody(BaseModel):
    """One sentence in three places: `error.message` is OpenAI's and Together's, `message` Cohere's, `detail`
    Voyage's."""

    error: Problem
    message: str
    detail: str

    @classmethod
    def of(cls, status: int, message: str) -> "ErrorBody":
        type_ = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return cls(error=Problem(message=message, type=type_, code=status), message=message, detail=message)
