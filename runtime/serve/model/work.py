"""A request as units of work, which may run in any order, beside those of other requests, or never."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import InputError
from onnxrank.serve.requests import EmbedRequest, ScoreRequest, Window
from onnxrank.text.body import Cut, TokenIds
from onnxrank.text.documents import check_text

# Characters that are tokenized in one go: some milliseconds, for which other requests wait.
SLICE = 1 << 15

RowT = TypeVar("RowT")
# A logit, or a text's vector.
Result = np.float32 | NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit(Generic[RowT]):
    """What one row of a batch computes: an item of a request, or a window of one.

    key: a digest of the weights and the token ids; equal keys have equal results. cost: tokens that a run computes.
    """

    item: int
    key: bytes
    cost: int
    row: RowT
    window: Window | None = None


@dataclass(slots=True, kw_only=True)
class Work:
    """A request in units. place: what its items are called. units: in the order in which they run best. tokens: of all
    prompts. errors: why items have no unit."""

    items: int
    place: str
    units: list[Unit[Any]] = field(default_factory=list)
    tokens: int = 0
    truncated: list[int] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)


# Tokenizes a slice of a request with each `next`, and returns the whole at the end.
Reading = Generator[None, None, Work]


def read_slice(reading: Reading) -> Work | None:
    """Tokenize the next slice of a request; return the whole after the last."""
    try:
        next(reading)
    except StopIteration as end:
        work: Work = end.value
        return work
    return None


def read_all(reading: Reading) -> Work:
    """Tokenize a request in one go."""
    while (work := read_slice(reading)) is None:
        pass
    return work


class Model(Protocol):
    """What the scheduler needs of a served model. cores: how many units run at the same time. round_tokens: how many
    tokens at a time keep all of them busy."""

    @property
    def name(self) -> str: ...

    @property
    def cores(self) -> int: ...

    @property
    def round_tokens(self) -> int: ...

    def read_scores(self, request: ScoreRequest) -> Reading:
        """Tokenize a request. Raises InputError if this model cannot score it."""
        ...

    def read_texts(self, request: EmbedRequest) -> Reading:
        """Tokenize a request. Raises InputError if this model cannot embed it."""
        ...

    def run(self, units: Sequence[Unit[Any]]) -> Sequence[Result]:
        """Return the result of each unit."""
        ...

    def activate(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of logits."""
        ...

    def check(self) -> None:
        """Load the weights. Raises ArtifactError if this device does not give the logits that the export recorded."""
        ...

    def sample(self) -> Reading:
        """Tokenize texts to measure the speed with."""
        ...

    def close(self) -> None:
        """Free the weights and threads."""
        ...


class Encoded(Protocol):
    """A prompt, or a window's; see `EncodedPair`."""

    @property
    def token_ids(self) -> TokenIds: ...

    @property
    def truncated(self) -> bool: ...

    @property
    def own(self) -> tuple[int, int] | None: ...

    @property
    def span(self) -> tuple[int, int] | None: ...


EncodedT = TypeVar("EncodedT", bound=Encoded)


def slices(texts: Sequence[str]) -> Iterator[range]:
    """Yield the indices of texts that are tokenized together."""
    start = size = 0
    for i, text in enumerate(texts):
        size += len(text) + 1
        if size >= SLICE:
            yield range(start, i + 1)
            start, size = i + 1, 0
    if start < len(texts):
        yield range(start, len(texts))


def cut_of(request: ScoreRequest) -> Cut:
    """Return how a request wants long documents cut. Raises InputError for a limit that leaves nothing of them."""
    most = request.max_tokens_per_doc
    if most is not None and most < 1:
        raise InputError(f"max_tokens_per_doc is {most}; give at least 1, or leave it out.")
    return Cut(most=most, side=request.truncation_side)


def readable(request: ScoreRequest, piece: range, work: Work) -> list[int]:
    """Return the items of a piece whose document is a text; the others get an error. Raises InputError if `refuse`
    does, or for a query that is no text."""
    found = []
    for item in piece:
        query, document = request.pairs[item]
        check_text(query, "the query")
        try:
            check_text(document, f"documents[{item}]")
        except InputError as error:
            refuse(work, item, str(error), request)
        else:
            found.append(item)
    return found


def accept(
    work: Work, item: int, found: Sequence[EncodedT], request: ScoreRequest
) -> list[tuple[Window | None, EncodedT]]:
    """Count an item's tokens and return it, or its windows; nothing if it is too long for the request, and gets an
    error. Raises InputError if `refuse` does."""
    cut = found[0].own
    if cut and request.long_documents == "error":
        message = (
            f"documents[{item}] has {cut[1]} tokens, and {cut[0]} of them can be read; shorten it, or ask for "
            "long_documents 'truncate' or 'chunk'."
        )
        refuse(work, item, message, request)
        return []
    if any(encoded.truncated for encoded in found):
        work.truncated.append(item)
    work.tokens += sum(len(encoded.token_ids) for encoded in found)
    return [(_window(i, len(found), encoded.span), encoded) for i, encoded in enumerate(found, 1)]


def _window(number: int, count: int, span: tuple[int, int] | None) -> Window | None:
    return None if span is None else Window(number=number, count=count, start=span[0], end=span[1])


def refuse(work: Work, item: int, message: str, request: ScoreRequest) -> None:
    """Note why an item is not scored. Raises InputError unless the request wants the others nevertheless."""
    if not request.partial:
        raise InputError(message)
    work.errors[item] = message


def key_of(weights: str, *parts: bytes) -> bytes:
    """Return a unit's key. weights: the hash of the files, as hexadecimal digits."""
    digest = blake2b(digest_size=16, key=bytes.fromhex(weights))
    for part in parts:
        # With its length, because other parts might make the same bytes.
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
