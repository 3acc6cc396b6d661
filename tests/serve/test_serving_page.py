"""docs/serving.md: its request, its container, its tables."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from onnxrank.cli.app import app
from onnxrank.serve.dialects.cohere import CohereRerank
from onnxrank.serve.http.settings import Settings
from tests.markdown import PAGES, tables, tokens_of
from tests.serve.asking import app_of, ask
from tests.serve.fake import FakeScheduler
from tests.serve.live import Live, live

PAGE = PAGES["docs/serving.md"]
BLOCKS = [token.content for token in tokens_of(PAGE.read_text()) if token.type == "fence"]


def block(start: str) -> str:
    (found,) = [content for content in BLOCKS if content.startswith(start)]
    return found


def test_the_request(server: Live) -> None:
    _, url, _, header, _, body = shlex.split(block("curl "))
    name, value = header.split(": ")
    path = httpx.URL(url).path
    answer = httpx.post(f"{server.url}{path}", content=body, headers={name: value}).raise_for_status().json()
    assert [hit["index"] for hit in answer["results"]] == [0] and json.loads(body)["top_n"] == 1


def test_the_container(demo_artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables, command and health check; at another port, and not on all networks."""
    lines = dict(line.split(" ", 1) for line in block("FROM ").splitlines())
    variables = dict(one.split("=") for one in lines["ENV"].split())
    assert lines["COPY"].split()[1] == variables["ONNXRANK_ARTIFACTS"]
    assert lines["RUN"].endswith('"onnxrank[serve,cpu]"') and lines["EXPOSE"] == str(Settings().port)
    assert json.loads(lines["CMD"]) == ["onnxrank", "serve"]
    here = {"ONNXRANK_ARTIFACTS": str(demo_artifact), "ONNXRANK_HOST": "127.0.0.1"}
    for name, value in {**variables, **here}.items():
        monkeypatch.setenv(name, value)
    with live() as server:
        _, flag, code = json.loads(lines["HEALTHCHECK"].removeprefix("CMD "))
        code = code.replace("http://127.0.0.1:8080", server.url)
        subprocess.run([sys.executable, flag, code], check=True, timeout=60)
        httpx.post(f"{server.url}/rerank", json={"query": "a", "documents": ["b"]}).raise_for_status()
        assert server.stop() == 0
    assert json.loads(server.log[-1])["route"] == "/rerank"


def test_the_fields() -> None:
    (rows,) = [rows[2:] for rows in tables(PAGE) if rows[0][0] == "field"]
    known = json.dumps(CohereRerank.model_json_schema()) + "instruct task truncate_prompt_tokens truncation_direction"
    for row in rows:
        for name in re.findall(r"`(\w+)", row[0]):
            assert name in known, name


def test_every_option_is_on_the_page() -> None:
    serve = get_command(app).commands["serve"]  # type: ignore[attr-defined]  # a click.Group
    text = PAGE.read_text()
    shown = {option for parameter in serve.params for option in parameter.opts if not getattr(parameter, "hidden", 0)}
    # These need no words beside those of --help.
    beyond = {"artifacts", "--help", "--host", "--port", "--variant"}
    assert [option for option in sorted(shown - beyond) if f"`{option}" not in text] == []
    defaults = {parameter.opts[0]: parameter.default for parameter in serve.params}
    for option, value in re.findall(r"`(--[a-z-]+)` \(([\d,]+)", text):
        assert float(value.replace(",", "")) == defaults[option]


def test_every_metric_is_on_the_page() -> None:
    text = PAGE.read_text()
    names = re.findall(r"^# TYPE (onnxrank_\w+)", ask(app_of(FakeScheduler()), "/metrics").text, re.MULTILINE)
    assert names and [name for name in names if not name.endswith("_created") and name not in text] == []


def test_help_names_the_variables() -> None:
    shown = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "300"})
    assert "ONNXRANK_MAX_BODY" in shown.output and "--workers" not in shown.output
