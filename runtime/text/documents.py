"""Checks callers' texts, and turns documents with fields into the text format that the model was trained on."""

import re
from collections.abc import Iterable, Mapping, Set
from typing import TypeVar

from onnxrank.errors import InputError, one_line

T = TypeVar("T")

Document = str | Mapping[str, str] | tuple[str, str]


def list_of(items: Iterable[T], place: str) -> list[T]:
    """Return a list, tuple, array, column or generator as a list.

    Raises InputError for a single string, and for what has keys or no order: a mapping, a set.
    """
    if isinstance(items, str):
        raise InputError(f"{place} is a single string; give a list of strings.")
    if isinstance(items, Mapping | Set | bytes) or not isinstance(items, Iterable):
        raise InputError(f"{place} is {type(items).__name__} {items!r:.60}; give a list.")
    return list(items)


def check_text(text: object, place: str) -> None:
    """Raise InputError unless `text` is a string that can be encoded."""
    if not isinstance(text, str):
        raise InputError(f"{place} is {type(text).__name__} {text!r:.60}; give a string.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{place} holds {text[error.start]!r}, which is no character; decode the text with errors='replace'."
        ) from error


def list_of_texts(texts: Iterable[str], place: str) -> list[str]:
    """Return texts as a list. Raises InputError unless each is a string that can be encoded."""
    listed = list_of(texts, place)
    for i, text in enumerate(listed):
        check_text(text, f"{place}[{i}]")
    return listed


def texts_of(documents: Iterable[Document], template: str | None, place: str) -> list[str]:
    """Return the text of each document: strings as they are, mappings and (name, description) through `template`.

    Raises InputError for a document with fields if there is no template, for a missing field, or if `documents`
    is not a list of texts.
    """
    return [text_of(document, template, f"{place}[{i}]") for i, document in enumerate(list_of(documents, place))]


def text_of(document: Document, template: str | None, place: str) -> str:
    """Return the text of one document, as `texts_of` does for many."""
    text = document if isinstance(document, str) else _text(document, template, place)
    check_text(text, place)
    return text


def _text(document: Mapping[str, str] | tuple[str, str], template: str | None, place: str) -> str:
    if not isinstance(document, (Mapping, tuple, list)):
        raise InputError(f"{place} is {type(document).__name__} {document!r:.60}; give a string.")
    if template is None:
        names = f" ({one_line(', '.join(document))})" if isinstance(document, Mapping) and document else ""
        raise InputError(
            f"{place} has fields{names}, and this model reads plain texts; give a string (in a file, as `text`), or "
            "export it with --document-template."
        )
    slots = slots_of(template)
    if isinstance(document, Mapping):
        fields = dict(document)
    elif len(document) == len(slots):
        fields = dict(zip(slots, document, strict=True))
    else:
        raise InputError(f"{place} has {len(document)} fields; give {len(slots)}: {', '.join(slots)}.")
    for slot in slots:
        if not isinstance(fields.get(slot), str):
            raise InputError(f"{place} has no text called {slot!r}; this model reads {', '.join(slots)}.")
    return fill(template, fields)


def slots_of(template: str) -> list[str]:
    """Return the names of a document template's fields."""
    return re.findall(r"\{(\w+)\}", template)


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Return a document template with each {slot} replaced by the field of that name."""
    return re.sub(r"\{(\w+)\}", lambda match: fields[match[1]], template)
