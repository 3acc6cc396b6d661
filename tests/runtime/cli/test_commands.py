"""What each command shows to people; test_cascade.py has the commands around an index."""

import json
import shutil
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from onnxrank.artifact.manifest import MANIFEST, Manifest
from onnxrank.cli.app import app
from onnxrank.engine.device import Device
from onnxrank.errors import InputError

QUERY = "sort an array"


def invoke(*arguments: object) -> str:
    return CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False).output


@pytest.fixture
def small_files(demo_artifact: Path, tmp_path: Path) -> Path:
    """An artifact's small files, to be changed."""
    for name in (MANIFEST, "golden.json", "tokenizer.json"):
        shutil.copyfile(demo_artifact / name, tmp_path / name)
    return tmp_path


def test_rank_shows_places_scores_and_texts_as_they_are(demo_artifact: Path) -> None:
    texts = ["sort(a): Sort an array [bold]", "word " * 200]
    shown = invoke("rank", demo_artifact, QUERY, *texts, "--variant", "q4", "--max-length", 200)
    first, second = (line for line in shown.splitlines() if line.startswith("│"))
    assert first.split("│")[1].strip() == "1" and second.split("│")[1].strip() == "2"
    assert first.split("│")[3].strip() == texts[0]
    assert "… (cut)" in second and "(cut)" not in first
    assert "'sort an array' (demo, q4)" in shown


def test_rank_scores_raw_logits_or_the_best_or_by_another_instruction(demo_artifact: Path) -> None:
    def scores(*options: object) -> list[float]:
        hits = json.loads(
            invoke("rank", demo_artifact, QUERY, "sort(a)", "det(a)", "--variant", "q4", "--json", *options)
        )
        return [hit["score"] for hit in hits]

    usual, raw = scores(), scores("--raw")
    assert all(0 <= score <= 1 for score in usual) and not all(0 <= score <= 1 for score in raw)
    assert scores("--top-k", 1) == usual[:1]
    assert scores("--instruction", "Find recipes.") != usual


def test_rank_skips_broken_lines_on_request_and_names_a_file_that_is_not_there(
    demo_artifact: Path, tmp_path: Path
) -> None:
    (tmp_path / "d.jsonl").write_text('"sort(a)"\n{\n')
    shown = invoke(
        "rank", demo_artifact, QUERY, "--documents", tmp_path / "d.jsonl", "--variant", "q4", "--skip-bad"
    )  # fmt: skip
    assert "1 lines of" in shown and "sort(a)" in shown
    with pytest.raises(InputError, match=r"none\.txt cannot be read .*; give a UTF-8 text file"):
        invoke("rank", demo_artifact, QUERY, "--documents", tmp_path / "none.txt")


def test_info_shows_what_the_manifest_says(small_files: Path) -> None:
    data = json.loads((small_files / MANIFEST).read_text())
    assert json.loads(invoke("info", small_files, "--json")) == data
    data["source"] |= {"id": "owner/name", "revision": "abc"}
    data["traced"] = True
    data["scoring"]["matryoshka"] = {"layers": [4], "dims": [64, 32]}
    (small_files / MANIFEST).write_text(json.dumps(data))
    shown = invoke("info", small_files)
    assert "demo: owner/name at abc\n" in shown
    assert "traced by PyTorch, up to 4096 tokens, activation sigmoid\n" in shown
    assert f"instruction: {data['scoring']['prompt']['default_instruction']}\n" in shown
    assert "exits after layers 4; widths 64, 32\n" in shown
    cells = [cell.strip() for line in shown.splitlines() for cell in line.split("│")]
    size = sum(data["files"][file]["bytes"] for file in data["variants"]["fp32"]["files"]) / 1e6
    assert f"{size:,.1f}" in cells
    settings = data["variants"]["q4"]["settings"]
    assert settings["matrices_in_8_bits"] > 0
    assert all(f"{name} {value}" in shown for name, value in settings.items())
    assert "residual stream, layer norms, score head" in cells
    assert f"{data['variants']['q4']['batch_effect']:.2g}" in cells


def test_verify_compares_the_chosen_variant_with_scores_that_are_made_again(
    demo_artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def again(manifest: Manifest, golden: Any, checkpoint: str) -> Any:
        asked.append(checkpoint)
        return golden

    def device(threads: int | None) -> Device:
        assert threads == 3
        return Device(threads=1)

    monkeypatch.setattr("onnxrank.cli.verify.repeat_oracle", again)
    monkeypatch.setattr("onnxrank.proof.verification.Device", device)
    shown = invoke("verify", demo_artifact, "--variant", "int8", "--against", "owner/checkpoint", "--threads", 3)
    assert asked == ["owner/checkpoint"]
    rows = [line.split("│")[1].strip() for line in shown.splitlines() if line.startswith("│")]
    assert rows and set(rows) == {"int8"}


@pytest.mark.parametrize("option", ["--open", "--no-open"])
def test_demo_serves_until_it_is_stopped_and_opens_the_page(
    demo_artifact: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    served: list[int] = []
    opened: list[str] = []
    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", lambda self: served.append(self.server_port))
    monkeypatch.setattr("webbrowser.open", opened.append)
    shown = invoke("demo", demo_artifact, "--port", 0, option)
    (port,) = served
    address = f"http://localhost:{port}/"
    assert f"is at {address}; Ctrl+C ends it" in shown
    assert opened == ([address] if option == "--open" else [])


@pytest.mark.parametrize("arguments", [["rank", "{}", QUERY, "text"], ["verify", "{}"], ["info", "{}"]])
def test_a_revision_is_for_hub_ids(demo_artifact: Path, arguments: list[str]) -> None:
    with pytest.raises(InputError, match=r"revision 'main' is for hub ids, but .* is a folder"):
        invoke(*(argument.format(demo_artifact) for argument in arguments), "--revision", "main")
