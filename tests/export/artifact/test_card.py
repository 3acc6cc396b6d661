"""The model card: it renders, the hub can read its metadata, and its code runs."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from onnxrank.artifact.manifest import Manifest
from onnxrank.export.artifact.card import write_card
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import Options
from onnxrank.progress import progress
from onnxrank.proof.parity import PARITY_COLUMNS
from tests.tiny_families import TINY

# A model of pairs, a ColBERT, an embedder, and a matryoshka model, whose table of parity is the largest.
CHECKPOINTS = ("qwen3-reranker, classifier", "colbert, attending", "qwen3-embedding", "mmbert, legacy")
TASKS = {"Reranker": "text-ranking", "LateInteraction": "text-ranking", "Embedder": "feature-extraction"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An artifact, the checkpoint that it was made of, and the text of its card."""

    manifest: Manifest
    checkpoint: Path
    folder: Path

    @property
    def card(self) -> str:
        return (self.folder / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=CHECKPOINTS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    tiny = TINY[request.param]
    # The card uses a folder of the checkpoint's name, which the artifact has if nobody renames it.
    checkpoint = tmp_path_factory.mktemp("checkpoint") / "tiny"
    checkpoint.mkdir()
    tiny.write(checkpoint)
    folder = tmp_path_factory.mktemp("artifacts") / "tiny"
    options = Options(variants=("fp32", "fp16"), family=tiny.options)
    source = locate(str(checkpoint))
    manifest = export(source, folder, family=tiny.family, options=options, force=False, progress=progress)
    return Exported(manifest=manifest, checkpoint=checkpoint, folder=folder)


def metadata(card: str) -> dict[str, Any]:
    """Return the YAML block as the hub's own client reads it."""
    return {key: value for key, value in vars(ModelCard(card).data).items() if value is not None}


def tables(card: str) -> list[list[list[str]]]:
    """Return the cells of each table's rows, as GitHub and the hub read them."""
    found: list[list[list[str]]] = []
    before = ""
    for token in MarkdownIt("commonmark").enable("table").parse(card.split("---\n", 2)[2]):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif before in ("th_open", "td_open"):
            found[-1][-1].append(token.content)
        before = token.type
    return found


def cells_written(line: str) -> int:
    """Return how many cells a row's line has: those beyond the header's are dropped when it is rendered."""
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def test_tables_render(exported: Exported) -> None:
    variants, parity = tables(exported.card)
    assert [row[0] for row in variants] == ["variant", "fp32", "fp16"]
    assert parity[0] == PARITY_COLUMNS
    runs = sum(len(variant.parity) for variant in exported.manifest.variants.values())
    assert len(parity) == 1 + runs
    lines = [line for line in exported.card.splitlines() if line.startswith("|") and not line.startswith("| ---")]
    rows = [*variants, *parity]
    assert [cells_written(line) for line in lines] == [len(row) for row in rows]


def test_metadata_is_what_the_hub_knows(exported: Exported) -> None:
    found = metadata(exported.card)
    kind = exported.manifest.scoring.opened_with
    assert found["pipeline_tag"] == TASKS[kind]
    assert set(found["tags"]) == {"onnx", "transformers.js", *(["reranker"] if kind != "Embedder" else [])}
    # The hub refuses a base model that is no id of a model.
    assert exported.manifest.source.id == "tiny" and "base_model" not in found


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("apache-2.0", {"license": "apache-2.0"}),
        ("nvidia-open-model-license", {"license": "other", "license_name": "nvidia-open-model-license"}),
        (None, {}),
    ],
)
def test_licence_and_base_model(
    exported: Exported, tmp_path: Path, licence: str | None, expected: dict[str, str]
) -> None:
    source = replace(exported.manifest.source, id="owner/yes", licence=licence)
    for place in exported.folder.iterdir():
        if place.is_file():
            shutil.copy(place, tmp_path)
    write_card(replace(exported.manifest, source=source), exported.checkpoint, tmp_path)
    found = metadata((tmp_path / "README.md").read_text(encoding="utf-8"))
    assert {key: value for key, value in found.items() if key.startswith("license")} == expected
    assert (found["base_model"], found["base_model_relation"]) == ("owner/yes", "quantized")


def test_the_python_code_runs_beside_the_artifact(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", exported.card, re.DOTALL)
    monkeypatch.chdir(exported.folder.parent)
    exec(compile(code, "README.md", "exec"), {})


def test_javascript_is_shown_where_the_package_can_open_it(exported: Exported) -> None:
    kind = exported.manifest.scoring.opened_with
    shown: Sequence[str] = re.findall(r'import \{ (\w+) \} from "onnxrank"', exported.card)
    assert list(shown) == ([] if kind == "Embedder" else [kind])
