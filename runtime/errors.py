"""Every error this package raises on purpose.

    RerankError
    ├── InputError         a query, document or option that cannot be used
    ├── ArtifactError      an exported folder that is incomplete, altered, or of another format
    ├── HubError           a repository that cannot be downloaded
    ├── CheckpointError    a checkpoint folder that is incomplete or damaged
    ├── UnsupportedError   a sound checkpoint that needs something not implemented
    ├── OutputError        a place that cannot be written to
    ├── ParityError        an export that does not score like PyTorch
    │   └── LossError      one that does, with a larger loss than its variant may have
    └── BackendError       ONNX Runtime, the requested execution provider, or another package is missing

Those of a server alone are in `onnxrank.serve.errors`. A message gives the value, the place and the remedy in one
sentence. Any other exception is a bug.
"""

# Characters of others' text inside a sentence.
LIBRARY = 400


def one_line(message: object) -> str:
    """Return a library's error, or a text from a file, as part of a sentence: in one line, of printable characters."""
    text = " ".join(str(message).split()).rstrip(".") or type(message).__name__
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return text if len(text) <= LIBRARY else f"{text[: LIBRARY - 1]}…"


class RerankError(Exception):
    """Base of all errors raised on purpose; the command lines print it and exit with 1."""


class InputError(RerankError, ValueError):
    """A query, document or option cannot be used."""


class ArtifactError(RerankError):
    """An exported folder is incomplete, altered, or of another format."""


class HubError(RerankError):
    """A repository cannot be downloaded."""


class CheckpointError(RerankError):
    """A checkpoint folder is incomplete or damaged."""


class UnsupportedError(RerankError):
    """A sound checkpoint needs something that is not implemented."""


class OutputError(RerankError):
    """The output cannot be written."""


class ParityError(RerankError):
    """An export does not score like PyTorch."""


class LossError(ParityError):
    """A variant loses more of PyTorch's ranking than it may; the user may accept that."""


class BackendError(RerankError):
    """ONNX Runtime, the requested execution provider, or another package is missing."""
