import pytest

from onnxrank.cli.console import run, shorten
from onnxrank.errors import InputError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("it is [0]; give 1."), 1, "error: it is [0]; give 1."),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        run(command)
    assert ended.value.code == code
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"{line}\n")


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)  # type: ignore[arg-type]  # it returns nothing


def test_a_long_text_is_shown_as_one_line_that_ends_with_an_ellipsis() -> None:
    assert shorten(" two\n\n words ") == "two words"
    assert shorten("x" * 110) == "x" * 110
    assert shorten("x" * 111) == "x" * 109 + "…"
