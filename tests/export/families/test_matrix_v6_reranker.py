import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from onnxrank import Reranker
from onnxrank.cli.app import app
from onnxrank.errors import CheckpointError, InputError, RerankError, UnsupportedError
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import matrix, mmbert

CAPABILITIES = [("weather-now", "Get the weather of a city."), ("pdf-to-markdown", "Convert a pdf into Markdown.")]
QUERY = "convert a pdf to markdown"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("matrix") / "matrix", matrix)


@pytest.fixture(scope="module")
def artifact(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("matrix-artifact") / "out"
    export_tiny(checkpoint, out)
    return out


def edited(checkpoint: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy with another config.json."""
    folder.mkdir()
    for path in checkpoint.iterdir():
        (folder / path.name).symlink_to(path)
    config = json.loads((checkpoint / "config.json").read_text())
    change(config)
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_capability_is_a_tuple_a_mapping_or_its_text(artifact: Path) -> None:
    reranker = Reranker(artifact)
    assert reranker.document_template == "{name}: {description}"
    texts = [f"{name}: {description}" for name, description in CAPABILITIES]
    mappings = [{"name": name, "description": description} for name, description in CAPABILITIES]
    expected = reranker.rank(QUERY, texts, return_documents=True)
    assert reranker.rank(QUERY, CAPABILITIES, return_documents=True) == expected
    assert reranker.rank(QUERY, mappings, return_documents=True) == expected
    np.testing.assert_array_equal(
        reranker.predict([(QUERY, capability) for capability in CAPABILITIES]),
        reranker.predict([(QUERY, text) for text in texts]),
    )


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (("a", "b", "c"), r"documents\[0\] has 3 fields; give 2: name, description"),
        ({"name": "a"}, r"documents\[0\] has no text called 'description'"),
        (7, r"documents\[0\] is int 7; give a string"),
    ],
)
def test_a_capability_without_its_fields_is_one_sentence(artifact: Path, document: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Reranker(artifact).rank(QUERY, [document])


def test_the_command_line_reads_capabilities_as_json_lines(artifact: Path, tmp_path: Path) -> None:
    lines = (json.dumps({"name": name, "description": description}) for name, description in CAPABILITIES)
    (tmp_path / "c.jsonl").write_text("\n".join(lines))
    arguments = ["rank", str(artifact), QUERY, "--documents", str(tmp_path / "c.jsonl"), "--json"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert {hit["text"] for hit in json.loads(result.stdout)} == {f"{n}: {d}" for n, d in CAPABILITIES}


@pytest.mark.parametrize(
    ("name", "option"),
    [("pooling", "--pooling"), ("max_len", "--max-length"), ("activation", "--activation")],
)
def test_what_the_checkpoint_does_not_say_is_asked_for(
    checkpoint: Path, tmp_path: Path, name: str, option: str
) -> None:
    silent = edited(checkpoint, tmp_path / "silent", lambda config: config.pop(name))
    with pytest.raises(InputError, match=f"config.json does not say the .*; give it with {option}"):
        export_tiny(silent, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pair_template_and_a_body_can_be_given(checkpoint: Path, artifact: Path, tmp_path: Path) -> None:
    bodies: list[dict[str, Any]] = []

    def silence(config: dict[str, Any]) -> None:
        del config["input_format"]
        bodies.append(config.pop("backbone_config"))

    silent = edited(checkpoint, tmp_path / "silent", silence)
    with pytest.raises(InputError, match=r"give it with --pair-template"):
        export_tiny(silent, tmp_path / "out")
    template = "Query: {query}\nCapability: {document}"
    with pytest.raises(InputError, match=r"no dimensions of the body; name a config.json .* with --backbone-config"):
        export_tiny(silent, tmp_path / "out", pair_template=template)
    with pytest.raises(InputError, match=r"--backbone-config '\./none' is no file, folder or hub id"):
        export_tiny(silent, tmp_path / "out", pair_template=template, backbone_config="./none")
    (tmp_path / "body.json").write_text(json.dumps(bodies[0]))
    export_tiny(silent, tmp_path / "out", pair_template=template, backbone_config=str(tmp_path / "body.json"))
    pairs = [(QUERY, "pdf-to-markdown: Convert a pdf into Markdown.")]
    np.testing.assert_array_equal(Reranker(tmp_path / "out").predict(pairs), Reranker(artifact).predict(pairs))
    with pytest.raises(InputError, match="has fields"):
        Reranker(tmp_path / "out").rank(QUERY, CAPABILITIES)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pooling": "mean"}, "the pooling of refused is 'mean'"),
        ({"activation": "relu"}, "the activation of refused is 'relu'"),
    ],
)
def test_what_it_cannot_do_is_refused(checkpoint: Path, tmp_path: Path, changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(UnsupportedError, match=sentence):
        export_tiny(edited(checkpoint, tmp_path / "refused", lambda c: c.update(changes)), tmp_path / "out")


@pytest.mark.parametrize(
    ("heads", "sentence"),
    [
        ({"head.weight": torch.zeros(2, 64)}, r"'head\.weight' .* has shape \[2, 64\].* makes it \[1, 64\]"),
        ({"head.weight": torch.zeros(1, 64), "head.bias": torch.zeros(3)}, r"'head\.bias' .* has shape \[3\]"),
        ({}, r"has 0 tensors that could be the head \(none\)"),
    ],
)
def test_a_head_of_the_wrong_shape_is_refused(
    checkpoint: Path, tmp_path: Path, heads: dict[str, torch.Tensor], sentence: str
) -> None:
    folder = edited(checkpoint, tmp_path / "wrong", lambda config: None)
    body = {k: v for k, v in load_file(checkpoint / "model.safetensors").items() if not k.startswith("head")}
    (folder / "model.safetensors").unlink()
    save_file({**body, **heads}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=sentence):
        export_tiny(folder, tmp_path / "out", family="matrix-v6-reranker")


class Intruder:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "pickled", lambda f: matrix(f, pickled=True))
    trace = tmp_path / "code-was-run"
    content = torch.load(folder / "final.pt", weights_only=True)
    torch.save({**content, "config": Intruder(trace)}, folder / "final.pt")
    with pytest.raises(CheckpointError, match=r"final\.pt .*"):
        export_tiny(folder, tmp_path / "out")
    (folder / "final.pt").write_bytes(pickle.dumps(Intruder(trace)))
    with pytest.raises(CheckpointError, match=r"final\.pt .*"):
        export_tiny(folder, tmp_path / "out")
    assert not trace.exists()
    pickle.loads((folder / "final.pt").read_bytes())
    assert trace.exists()  # it would have


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "encoder", mmbert)
    with pytest.raises(RerankError, match="model_type 'modernbert', and family matrix-v6-reranker comes as any but"):
        export_tiny(folder, tmp_path / "out", family="matrix-v6-reranker")
