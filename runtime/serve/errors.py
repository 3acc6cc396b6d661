"""Why a server did not answer a request that was understood; InputError says that it was not.

RerankError
├── Overloaded         the queue is full; try again later
├── Unavailable        loading, draining, or stuck
├── DeadlineExceeded   not done in time
└── NoScore            the model failed on a document, or gave no number
"""

from onnxrank.errors import RerankError


class Overloaded(RerankError):
    """The queue is full. retry_after: seconds until there will be room, by the measured speed."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the queue is full; try again in {retry_after:.1f} seconds.")
        self.retry_after = retry_after


class Unavailable(RerankError):
    """The server takes no requests now; the message says why."""


class DeadlineExceeded(RerankError):
    """The request's deadline passed before all of it was scored."""


class NoScore(RerankError):
    """The model failed on a document, or gave no number for it: its fault, and not the request's."""
