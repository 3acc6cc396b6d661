"""The demo's texts: (summary line, documentation) pairs from the docstrings of pinned, permissively licensed wheels.

Only the text of .py files inside the wheels is read; nothing is installed or imported.
"""

import ast
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

# name, version, licence
PACKAGES = (
    ("astropy", "8.0.2", "BSD-3-Clause"),
    ("bokeh", "3.9.2", "BSD-3-Clause"),
    ("dask", "2026.8.0", "BSD-3-Clause"),
    ("django", "5.2.19", "BSD-3-Clause"),
    ("matplotlib", "3.11.2", "Matplotlib (PSF-based)"),
    ("networkx", "3.6.1", "BSD-3-Clause"),
    ("nltk", "3.10.4", "Apache-2.0"),
    ("numpy", "2.4.6", "BSD-3-Clause"),
    ("pandas", "3.1.1", "BSD-3-Clause"),
    ("scikit-image", "0.26.0", "BSD-3-Clause"),
    ("scikit-learn", "1.9.1", "BSD-3-Clause"),
    ("scipy", "1.17.1", "BSD-3-Clause"),
    ("sqlalchemy", "2.1.9", "MIT"),
    ("statsmodels", "0.15.0", "BSD-3-Clause"),
    ("sympy", "1.14.0", "BSD-3-Clause"),
    ("transformers", "5.23.0", "Apache-2.0"),
    ("twisted", "26.10.0", "MIT"),
    ("xarray", "2026.9.0", "Apache-2.0"),
)

SKIPPED_FOLDERS = re.compile(r"(tests?$|testing$|_|externals|third_party)")
MARKUP = re.compile(r"^\s*[-=~^*#\"'`.+]{3,}\s*$|^\s*>>>.*$|^\s*\.\.\s+\S+::.*$", re.MULTILINE)
ROLE = re.compile(r":[a-z:]+:`~?!?([^`<]*?)(?:\s*<[^>]*>)?`")
FIRST_SENTENCE = re.compile(r"(.{15,}?[a-z)\]]\.)\s+(?=[A-Z])(.*)")
UNTELLING = re.compile(r"(deprecated|see |alias|test |overrid|inherit)", re.IGNORECASE)
LONGEST_DOCUMENT = 60  # words


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A query, the document that answers it, and the module of both."""

    query: str
    document: str
    module: str


def download(folder: Path) -> None:
    """Fetch the pinned wheels into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    pins = [f"{name}=={version}" for name, version, _ in PACKAGES]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--only-binary=:all:",
        "-d",
        str(folder),
    ]
    subprocess.run([*command, *pins], check=True)


def harvest(folder: Path) -> list[Pair]:
    """Return the pairs of all wheels in `folder`, in a fixed order, no query or document twice."""
    pairs: list[Pair] = []
    seen: set[str] = set()
    for wheel in sorted(folder.glob("*.whl")):
        for pair in _pairs_of_wheel(wheel):
            keys = {pair.query.lower(), pair.document.split("): ", 1)[1][:160].lower()}
            if not keys & seen:
                seen |= keys
                pairs.append(pair)
    return pairs


def digest(pairs: list[Pair]) -> str:
    """Return a sha256 over all pairs, to notice when a wheel's text has changed."""
    return hashlib.sha256(json.dumps([asdict(pair) for pair in pairs]).encode()).hexdigest()


def _pairs_of_wheel(wheel: Path) -> Iterator[Pair]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            path = PurePosixPath(name)
            if path.suffix != ".py" or path.name.startswith(("test_", "conftest")):
                continue
            if any(SKIPPED_FOLDERS.match(part) for part in path.parts[:-1]):
                continue
            module = name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            try:
                tree = ast.parse(archive.read(name))
            except (SyntaxError, ValueError):
                continue
            yield from _pairs_of_body(tree, "", module)


def _pairs_of_body(body: ast.Module | ast.ClassDef, outer: str, module: str) -> Iterator[Pair]:
    for node in body.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_"):
            continue
        name = f"{outer}.{node.name}" if outer else node.name
        if isinstance(node, ast.ClassDef):
            yield from _pairs_of_body(node, name, module)
        if pair := _pair(node, name, module):
            yield pair


def _pair(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, name: str, module: str) -> Pair | None:
    first, *others = re.split(r"\n\s*\n", (ast.get_docstring(node) or "").strip(), maxsplit=1)
    summary, rest = _clean(first), _clean(others[0] if others else "")
    if sentence := FIRST_SENTENCE.match(summary):
        summary, rest = sentence[1], f"{_clean(sentence[2])} {rest}"
    if re.search(r"[_A-Z0-9]", node.name[1:]):
        # A query that contains the identifier would make the task a string search.
        summary = re.sub(rf"\b{re.escape(node.name)}\b(\([^)]*\))?", "", summary)
    words = re.sub(r"^\W+", "", summary).rstrip(". ").split()
    text = rest.split()
    if not 4 <= len(words) <= 25 or len(text) < 10 or UNTELLING.match(" ".join(words)):
        return None
    arguments = [] if isinstance(node, ast.ClassDef) else [a.arg for a in node.args.args]
    shown = ", ".join([a for a in arguments if a not in ("self", "cls")][:5])
    document = f"{module}.{name}({shown}): {' '.join(text[:LONGEST_DOCUMENT])}"
    return Pair(query=" ".join(words), document=document, module=module)


def _clean(text: str) -> str:
    text = MARKUP.sub(" ", ROLE.sub(r"\1", text))
    return re.sub(r"\s+", " ", re.sub(r"`{1,2}|\*{2}|\\", "", text)).strip()
