"""Documents on the command line: from files, from a pipe, with ids and fields; and what is said if there are none."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from onnxrank.cli.app import app
from onnxrank.errors import InputError
from tests.exports import export_tiny

QUERY = "sort an array"
POSTS = [{"id": "s", "title": "Sort", "body": "sorts an array"}, {"id": "m", "title": "Mean", "body": "is the average"}]
TEMPLATE = ("--document-template", "{title}: {body}")


@pytest.fixture(scope="module")
def artifact(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("artifacts") / "tiny"
    export_tiny(tiny_checkpoint, out, family="qwen3-reranker")
    return out


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    return write(tmp_path / "posts.jsonl", "\n".join(map(json.dumps, POSTS)))


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def run(*arguments: object, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], input=stdin, catch_exceptions=False)


def hits(*arguments: object, stdin: str | bytes = "") -> dict[str | None, str]:
    """Return the text of each hit by its id."""
    found: list[dict[str, Any]] = json.loads(run(*arguments, "--json", stdin=stdin).stdout)
    return {hit.get("id"): hit["text"] for hit in found}


def test_ids_and_fields_of_json_survive(artifact: Path, posts: Path, tmp_path: Path) -> None:
    rank = ("rank", artifact, QUERY, "--documents")
    joined: dict[str | None, str] = {"s": "Sort: sorts an array", "m": "Mean: is the average"}
    assert hits(*rank, posts, *TEMPLATE) == joined
    assert hits(*rank, write(tmp_path / "posts.json", json.dumps(POSTS, indent=1)), *TEMPLATE) == joined
    assert hits(*rank, posts, "--text-field", "body") == {"s": "sorts an array", "m": "is the average"}
    both: dict[str | None, str] = {None: "plain"}
    assert hits("rank", artifact, QUERY, "plain", "--documents", posts, *TEMPLATE) == both | joined


def test_fields_without_a_template_are_refused_with_file_and_line(artifact: Path, posts: Path) -> None:
    with pytest.raises(InputError, match=r"posts\.jsonl, line 1 has no `text` .* it has title, body: .*--text-field"):
        run("rank", artifact, QUERY, "--documents", posts)


def test_piped_documents_are_lines_or_json(artifact: Path, tmp_path: Path) -> None:
    rank = ("rank", artifact, QUERY)
    assert json.loads(run(*rank, "--json", stdin="one\n\n").stdout)[0]["text"] == "one"
    assert hits(*rank, stdin='{"id": "a", "text": "one"}') == {"a": "one"}
    assert hits(*rank, "--documents", "-", stdin='["one", {"id": "b", "text": "two"}]') == {"1": "one", "b": "two"}
    assert hits(*rank, "given", stdin="not read") == {None: "given"}
    plain = write(tmp_path / "plain.txt", '{"text": "one"}')
    assert hits(*rank, "--documents", plain) == {None: '{"text": "one"}'}


def test_lines_that_are_not_in_utf8_can_be_skipped(artifact: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.txt"
    path.write_bytes(b"caf\xe9\nsort")
    with pytest.raises(InputError, match=r"plain\.txt, line 1 is not in UTF-8"):
        run("rank", artifact, QUERY, "--documents", path)
    shown = run("rank", artifact, QUERY, "--documents", path, "--skip-bad", "--json")
    assert [hit["text"] for hit in json.loads(shown.stdout)] == ["sort"] and "1 lines" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((), "there are no documents to rank; give them as arguments after the query, in a file with --documents FILE"),
        (("--documents", "{empty}"), "there are no documents to rank"),
        (("d", "--text-field", "a", *TEMPLATE), "--text-field and --document-template both say what the text is"),
        (("d", "--document-template", "title"), "--document-template 'title' names no field; write one in braces"),
    ],
)
def test_misuse_is_code_2_and_a_hint(artifact: Path, tmp_path: Path, arguments: tuple[str, ...], hint: str) -> None:
    empty = write(tmp_path / "empty.txt", "\n")
    result = run("rank", artifact, QUERY, *(a.replace("{empty}", str(empty)) for a in arguments))
    assert result.exit_code == 2 and hint in result.stderr and not result.stdout


def test_progress_on_request_is_lines_off_a_terminal(artifact: Path) -> None:
    rank = ("rank", artifact, QUERY, "one", "two", "--json")
    assert run(*rank).stderr == run(*rank, "--no-progress").stderr == ""
    assert run(*rank, "--progress").stderr == "scoring: 2 of 2\n"
