"""Builds the wheel and the sdist of a release: `python -m tests.distribution FOLDER`, or `make dist`.

They hold the libraries of the demo page, so that it needs no network. Two builds of one commit have the same bytes:
the time comes from SOURCE_DATE_EPOCH, and modes, owners and order do not depend on the machine.
"""

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import onnxruntime

from onnxrank.cli.demo import CARRIED, LIBRARY_FILES

ROOT = Path(__file__).parent.parent
FOLDERS = {"runtime": "onnxrank", "quantize": "onnxrank.quantize", "export": "onnxrank.export"}
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")
# The part of the npm package in runtime/web/ that `onnxrank demo` serves; the rest is for development.
SERVED = {"package.json", "src", "demo"}
NPM = ROOT / "runtime" / "web" / "node_modules"


def stage(tree: Path) -> None:
    """Copy what is shipped to `tree`: setuptools builds in the source folder, and ships what lies there."""
    tree.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(ROOT / name, tree / name)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tree / folder, ignore=_not_shipped, copy_function=shutil.copyfile)
    for path in tree.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def add_libraries(tree: Path) -> None:
    """Put the demo page's libraries into a staged tree, compressed as they are served, with their licences."""
    folder = tree / "runtime" / "web" / CARRIED
    for name in LIBRARY_FILES:
        target = folder / f"{name}.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress((NPM / name).read_bytes(), mtime=0))
    shutil.copyfile(NPM / "@huggingface" / "tokenizers" / "LICENSE", folder / "@huggingface" / "tokenizers" / "LICENSE")
    # Those of the same project: its npm package has none.
    for name in ("LICENSE", "ThirdPartyNotices.txt"):
        shutil.copyfile(Path(onnxruntime.__file__).parent / name, folder / "onnxruntime-web" / name)


def build(tree: Path, out: Path, epoch: int) -> None:
    """Build an sdist of a staged tree, and the wheel from the sdist. epoch: the time of every file, in seconds."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    # Without isolation, which would download setuptools.
    command: list[str | Path] = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, umask=0o022)
    for sdist in out.glob("*.tar.gz"):
        _normalize(sdist, epoch)


def _not_shipped(folder: str, names: list[str]) -> set[str]:
    return set(names) - SERVED if Path(folder) == ROOT / "runtime" / "web" else {"__pycache__"} & set(names)


def _normalize(sdist: Path, epoch: int) -> None:
    """Write an sdist again without the builder's name, and with one time; setuptools takes those of the machine."""
    again = sdist.with_suffix(".again")
    with (
        tarfile.open(sdist) as old,
        again.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    again.replace(sdist)


def main(out: Path) -> None:
    """Build twice and compare; write to `out` only if both have the same bytes."""
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    with tempfile.TemporaryDirectory() as place:
        built = [Path(place) / "first", Path(place) / "second"]
        for folder in built:
            stage(folder / "tree")
            add_libraries(folder / "tree")
            build(folder / "tree", folder / "dist", epoch)
        first, second = ({path.name: path.read_bytes() for path in (folder / "dist").iterdir()} for folder in built)
        differing = [name for name in first | second if first.get(name) != second.get(name)]
        if differing:
            sys.exit(f"two builds differ in {', '.join(differing)}")
        out.mkdir(parents=True, exist_ok=True)
        for name, content in first.items():
            (out / name).write_bytes(content)
            sys.stdout.write(f"{out / name}\t{len(content) / 1e6:.1f} MB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
