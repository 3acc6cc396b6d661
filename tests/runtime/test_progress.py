import re

import pytest

from onnxrank import progress as progress_module
from onnxrank.progress import progress


@pytest.mark.parametrize(("show", "patience", "shown"), [(True, -1, True), (True, 60, False), (False, -1, False)])
def test_a_bar_appears_in_long_work_if_wanted(
    show: bool, patience: float, shown: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(progress_module, "PATIENCE_SECONDS", patience)
    with progress("scoring", 4, show) as done:
        done(1)
        done(2)
    output = capsys.readouterr()
    assert ("scoring" in output.err, "75%" in output.err) == (shown, shown)
    assert output.out == ""


def test_lines_of_a_log_estimate_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter(range(0, 10_000, 600))
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))
    with progress("scoring", 4000, True) as done:
        done(1000)
        done(3000)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("scoring: 1,000 of 4,000, ") and re.search(r" \d:\d\d:00 left$", first)
    assert last == "scoring: 4,000 of 4,000"


def test_a_bar_needs_a_terminal_by_default(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress_module, "PATIENCE_SECONDS", -1)
    with progress("scoring", 1) as done:
        done(1)
    assert capsys.readouterr().err == ""
