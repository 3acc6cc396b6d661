"""Checks callers' texts, and turns documents with fields into the text format that the model was trained on."""

import re
from collections.abc import Mapping, Sequence

from onnxrank.errors import InputError

Document = str | Mapping[str, str] | tuple[str, str]


def check_texts(texts: Sequence[str], place: str) -> None:
    """Raise InputError unless `texts` is a list of encodable strings."""
    if isinstance(texts, str):
        raise InputError(f"{place} is a single string; give a list of strings.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{place}[{i}] is {type(text).__name__} {text!r:.60}; give a string.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{place}[{i}] holds {text[error.start]!r}, which is no character; "
                "decode the text with errors='replace'."
            ) from error


def texts_of(documents: Sequence[Document], template: str | None, place: str) -> list[str]:
    """Return the text of each document: strings as they are, mappings and (name, description) through `template`.

    Raises InputError for a document with fields if there is no template, for a missing field, or if `documents`
    is not a list of texts.
    """
    texts: Sequence[str] = (
        documents
        if isinstance(documents, str)
        else [
            document if isinstance(document, str) else _text(document, template, f"{place}[{i}]")
            for i, document in enumerate(documents)
        ]
    )
    check_texts(texts, place)
    return list(texts)


def _text(document: Mapping[str, str] | tuple[str, str], template: str | None, place: str) -> str:
    if not isinstance(document, (Mapping, tuple, list)):
        raise InputError(f"{place} is {type(document).__name__} {document!r:.60}; give a string.")
    if template is None:
        names = f" ({', '.join(document)})" if isinstance(document, Mapping) else ""
        raise InputError(
            f"{place} has fields{names}, and this model reads plain texts; give a string (in a file, as `text`), or "
            "export it with --document-template."
        )
    slots = re.findall(r"\{(\w+)\}", template)
    if isinstance(document, Mapping):
        fields = dict(document)
    elif len(document) == len(slots):
        fields = dict(zip(slots, document, strict=True))
    else:
        raise InputError(f"{place} has {len(document)} fields; give {len(slots)}: {', '.join(slots)}.")
    for slot in slots:
        if not isinstance(fields.get(slot), str):
            raise InputError(f"{place} has no text called {slot!r}; this model reads {', '.join(slots)}.")
    return re.sub(r"\{(\w+)\}", lambda match: fields[match[1]], template)
