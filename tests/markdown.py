"""Reads Markdown files with a parser, for tests of the documentation."""

import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
PAGES = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "docs").glob("*.md"))}


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of Markdown with GitHub's tables."""
    return MarkdownIt("commonmark").enable("table").parse(text)


def blocks(path: Path, language: str) -> list[str]:
    """Return the code blocks in a language."""
    return [t.content for t in tokens_of(path.read_text()) if t.type == "fence" and t.info.split()[:1] == [language]]


def shell_lines(path: Path) -> list[str]:
    """Return the lines of all `sh` blocks."""
    return [line for block in blocks(path, "sh") for line in block.splitlines() if line]


def headings(path: Path) -> list[tuple[int, str]]:
    """Return the level and the text of each heading."""
    tokens = tokens_of(path.read_text())
    return [
        (int(token.tag[1]), _plain(tokens[i + 1])) for i, token in enumerate(tokens) if token.type == "heading_open"
    ]


def anchor(heading: str) -> str:
    """Return a heading's anchor, as GitHub and MkDocs make it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


def tables(path: Path) -> list[list[list[str]]]:
    """Return the rows of each table, as the cells that stand in the file: a parser drops surplus ones and fills in
    missing ones."""
    text = path.read_text()
    lines = text.splitlines()
    places = [token.map for token in tokens_of(text) if token.type == "table_open" and token.map]
    return [[_cells(line) for line in lines[start:end]] for start, end in places]


def links(path: Path) -> Iterator[str]:
    """Yield the addresses of links and images."""
    for token in tokens_of(path.read_text()):
        for child in token.children or ():
            if address := child.attrGet("href") or child.attrGet("src"):
                yield str(address)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))]


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or ())
