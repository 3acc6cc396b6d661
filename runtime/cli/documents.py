"""Documents on a command line: in arguments, in a file, or piped to standard input."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from onnxrank.cli.console import misused, warn
from onnxrank.quality.corpus import Entry, Layout, read_corpus, read_plain
from onnxrank.quality.text_file import STDIN, TextFile, looks_like_json, opened
from onnxrank.text.documents import slots_of

JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")

CorpusOption = Annotated[
    Path | None,
    typer.Option(
        help="JSON Lines, or a JSON array, of texts or objects with `text`, or fields such as `title` and `body`; "
        "`id` and `cluster` are optional. - for stdin, which is also read if it is piped and no --corpus is given."
    ),
]
TextFieldOption = Annotated[str | None, typer.Option(help="The field that is the text; `text` by default.")]
TemplateOption = Annotated[
    str | None,
    typer.Option(
        "--document-template",
        help='The text of a document with fields, such as "{title}: {body}"; the artifact\'s own by default.',
    ),
]


def layout_of(text_field: str | None, template: str | None, own: str | None) -> Layout:
    """Return what the options say about fields. own: the artifact's template."""
    if text_field is not None and template is not None:
        raise misused("--text-field and --document-template both say what the text is; give one of them.")
    if template is not None and not slots_of(template):
        raise misused(f'--document-template {template!r} names no field; write one in braces: "{{title}}: {{body}}".')
    return Layout(template=template, text_field=text_field, own_template=own)


def read_entries(path: Path | None, layout: Layout, skip_bad: bool) -> list[Entry]:
    """Return a corpus, and warn how many lines of the file were skipped. None is piped standard input."""
    if path is None and not piped():
        raise misused("no corpus was given; give a file with --corpus, or pipe JSON Lines to standard input.")
    file = opened(path or STDIN)
    if path is None and not file.content.strip():
        raise misused("no corpus was given, and standard input is empty; give a file with --corpus.")
    entries, skipped = read_corpus(file, skip_bad=skip_bad, layout=layout)
    warn_of_skipped(skipped, file.name)
    return entries


def read_documents(texts: Sequence[str], path: Path | None, layout: Layout, skip_bad: bool) -> list[Entry | str]:
    """Return the documents of arguments and of a file; of piped standard input if there are neither.

    A document of a JSON file is an Entry, others are texts.
    """
    found: list[Entry | str] = [*texts]
    if path or not texts:
        found += _read(opened(path or STDIN), path, layout, skip_bad)
    if not found:
        raise misused(NO_DOCUMENTS)
    return found


NO_DOCUMENTS = (
    "there are no documents to rank; give them as arguments after the query, in a file with --documents FILE, "
    "or pipe one per line to standard input."
)


def piped() -> bool:
    """Whether standard input is a file or a pipe."""
    return sys.stdin is not None and not sys.stdin.isatty()


def warn_of_skipped(lines: int, name: str) -> None:
    """Say how many lines of a file were skipped, if any."""
    if lines:
        warn(f"{lines} lines of {name} were skipped.")


def _read(file: TextFile, path: Path | None, layout: Layout, skip_bad: bool) -> Sequence[Entry | str]:
    found: Sequence[Entry | str]
    named = path is not None and path != STDIN
    as_json = Path(file.name).suffix.lower() in JSON_SUFFIXES if named else looks_like_json(file.content)
    found, skipped = (
        read_corpus(file, skip_bad=skip_bad, layout=layout) if as_json else read_plain(file, skip_bad=skip_bad)
    )
    warn_of_skipped(skipped, file.name)
    return found
