"""Processes of our own import nothing that lies in the current folder, and say why they failed."""

from pathlib import Path

import pytest

from onnxrank.export.proof.oracle import OracleError
from onnxrank.export.proof.oracle import ask as ask_process
from tests.tiny import DEMO

# conftest.py replaces `ask` in the module, not this name of it.
REQUEST = {"folder": str(DEMO), "texts": ["sort an array"]}


def test_modules_in_the_current_folder_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "transformers", "json"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert ask_process(REQUEST, lambda n: None)["ids"]
    assert not (tmp_path / "executed").exists()


def test_a_process_that_dies_at_an_import_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "transformers.py").write_text("raise ImportError('a broken installation')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    # More than a pipe holds: the process is gone before all of it is written.
    with pytest.raises(OracleError, match="ImportError: a broken installation"):
        ask_process({**REQUEST, "texts": ["word " * 10**6]}, lambda n: None)
