import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onnxrank.artifact.manifest import MANIFEST, read_manifest, write_manifest
from onnxrank.artifact.opening import open_artifact
from onnxrank.errors import ArtifactError


@pytest.fixture
def folder(demo_artifact: Path, tmp_path: Path) -> Path:
    """An artifact's small files, to be damaged."""
    for name in (MANIFEST, "golden.json", "tokenizer.json"):
        shutil.copyfile(demo_artifact / name, tmp_path / name)
    return tmp_path


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads((folder / MANIFEST).read_text())
    change(data)
    (folder / MANIFEST).write_text(json.dumps(data))


def test_round_trip(folder: Path) -> None:
    before = read_manifest(folder)
    write_manifest(before, folder)
    assert read_manifest(folder) == before


def test_json_from_a_language_without_integers_is_the_same(folder: Path) -> None:
    before = read_manifest(folder)
    edit(folder, lambda d: d["scoring"].update(logit_scale=int(d["scoring"]["logit_scale"])))
    assert before.scoring.logit_scale == 1 and isinstance(read_manifest(folder).scoring.logit_scale, float)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(format=3), "has format 3, and this onnxrank reads format 2: upgrade onnxrank"),
        (lambda d: d.update(format=1), "has format 1, and this onnxrank reads format 2: export the artifact again"),
        (lambda d: d.update(format="2"), "format should be int, not str"),
        (lambda d: d.update(surprise=1), "the top level has the unknown key 'surprise'"),
        (lambda d: d["scoring"]["prompt"].pop("query"), "prompt lacks the key 'query'"),
        (lambda d: d["scoring"].update(max_length="8192"), "max_length should be int, not str"),
        (lambda d: d["scoring"].update(max_length=True), "max_length should be int, not bool"),
        (
            lambda d: d["scoring"].update(activation="softmax"),
            "activation should be 'sigmoid' or 'identity'",
        ),
        (lambda d: d["scoring"]["prompt"].update(truncation="longest-first"), "truncation should be 'document' or"),
        (lambda d: d.update(variants={}), "lists no variant"),
        (lambda d: d["scoring"].update(prompt=None), "either a prompt or texts"),
        (lambda d: d["variants"]["q4"].update(exits={"3": "elsewhere.onnx"}), "which `files` does not list"),
        (lambda d: d["variants"]["q4"].update(exits={"3": "onnx/model_q4.onnx"}), "graphs for other exits"),
        (lambda d: d["scoring"].update(matryoshka={"layers": [4, 2], "dims": [8]}), "graphs for other exits"),
        (lambda d: d["files"].update({"../../etc/passwd": {"sha256": "", "bytes": 1}}), "outside its folder"),
        (lambda d: d["files"].update({"/etc/passwd": {"sha256": "", "bytes": 1}}), "outside its folder"),
        (lambda d: d["files"].update({"a\\..\\b": {"sha256": "", "bytes": 1}}), "outside its folder"),
        (lambda d: d["variants"]["q4"].update(padded="elsewhere.onnx"), "which `files` does not list"),
        (lambda d: d["variants"]["q4"]["past"].update(file="../past.bin"), "which `files` does not list"),
        (lambda d: d["variants"]["q4"]["past"].update(token_ids=[-1]), "token_ids[0] should be from 0 to"),
        (lambda d: d["variants"]["q4"].pop("past"), "q4 lacks the key 'past'"),
        (lambda d: d["files"].update({"a\0b": {"sha256": "", "bytes": 1}}), "outside its folder"),
        (lambda d: d["variants"].update(q3=d["variants"]["q4"]), "lists the variant 'q3'"),
        (lambda d: d["scoring"].update(kv_cache=None), "has a prefix graph, and `scoring` no kv_cache"),
        (
            lambda d: d["scoring"]["kv_cache"].update(layers=10**12),
            "layers should be from 1 to 4096, not 1000000000000",
        ),
        (lambda d: d["scoring"].update(pad_token_id=-1), "pad_token_id should be from 0 to"),
        (lambda d: d["scoring"].update(logit_scale=float("nan")), "logit_scale should be a number of float32, not nan"),
        (lambda d: d["scoring"].update(logit_scale=10**400), "logit_scale should be a number of float32, not 1000"),
        (lambda d: d["scoring"]["prompt"].update(query="\ud800"), "query holds '\\ud800', which is no character"),
        (lambda d: d.update({"a\nb" * 99: 1}), "has the unknown key 'a\\nb"),
    ],
)
def test_a_bad_manifest_is_refused(folder: Path, change: Callable[[dict[str, Any]], object], sentence: str) -> None:
    edit(folder, change)
    with pytest.raises(ArtifactError) as caught:
        read_manifest(folder)
    assert sentence in str(caught.value)


def test_no_manifest_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not an exported artifact"):
        read_manifest(tmp_path)
    for content, problem in (("{", "cannot be read"), ("[" * 20_000, "is nested too deeply")):
        (tmp_path / MANIFEST).write_text(content)
        with pytest.raises(ArtifactError, match=problem):
            read_manifest(tmp_path)


def test_missing_and_altered_files_are_named(folder: Path) -> None:
    artifact = open_artifact(folder)
    artifact.fetch("tokenizer.json")
    with pytest.raises(ArtifactError, match=r"model_q4\.onnx is missing"):
        artifact.fetch("onnx/model_q4.onnx")
    with pytest.raises(ArtifactError, match=r"reranker\.json does not list notes\.txt"):
        artifact.fetch("notes.txt")
    content = bytearray((folder / "tokenizer.json").read_bytes())
    content[100] ^= 1
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(ArtifactError, match="its hash differs"):
        open_artifact(folder).fetch("tokenizer.json")
