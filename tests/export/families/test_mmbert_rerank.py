import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModel
from typer.testing import CliRunner

from onnxrank import Reranker
from onnxrank.artifact.manifest import read_manifest
from onnxrank.cli.app import app
from onnxrank.errors import CheckpointError, InputError, UnsupportedError
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import mmbert

PAIRS = [("the capital of France", "Paris is the capital of France."), ("x", ""), ("", "Bread is baked from flour.")]
HEADS = "classification_heads.safetensors"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("mmbert") / "mmbert", lambda f: mmbert(f, pickled=False))


@pytest.fixture(scope="module")
def artifact(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mmbert-artifact") / "out"
    export_tiny(checkpoint, out)
    return out


def test_exits_are_cut_graphs_that_share_one_weights_file(artifact: Path) -> None:
    variant = read_manifest(artifact).variants["fp32"]
    assert set(variant.exits) == {"1", "2"}
    assert sorted(p.name for p in (artifact / "onnx").iterdir()) == [
        "layers_1.onnx",
        "layers_2.onnx",
        "model.onnx",
        "model.onnx_data",
    ]
    graphs = [onnx.load(artifact / path, load_external_data=False).graph for path in variant.exits.values()]
    assert {
        entry.value
        for graph in graphs
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    } == {"model.onnx_data"}
    for graph, layers in zip(graphs, variant.exits, strict=True):
        attentions = [n for n in graph.node if n.op_type == "MatMul" and n.input[1].endswith("Wqkv.weight.T")]
        assert len(attentions) == int(layers)


def test_each_exit_and_width_is_another_score_and_all_are_pytorchs(artifact: Path) -> None:
    """The proof at export compared all columns; this test selects each of them at load."""
    manifest = read_manifest(artifact)
    assert manifest.scoring.matryoshka and manifest.scoring.matryoshka.dims == (64, 32, 16)
    found = {
        (layers, dim): Reranker(artifact, layers=layers, dim=dim).score(PAIRS).logits
        for layers in (4, 2, 1)
        for dim in (64, 32, 16)
    }
    assert len({logits.tobytes() for logits in found.values()}) == 9
    np.testing.assert_array_equal(Reranker(artifact).score(PAIRS).logits, found[4, 64])


@pytest.mark.parametrize("declared", [False, True], ids=["legacy", "declared"])
def test_the_last_exit_is_normed_only_where_the_checkpoint_says_so(tmp_path: Path, declared: bool) -> None:
    """The rule is written out here, because the proof's reference calls the same function as the graph."""
    checkpoint = write_checkpoint(tmp_path / "c", lambda folder: mmbert(folder, declared=declared, pickled=False))
    export_tiny(checkpoint, tmp_path / "out")
    ids = Tokenizer.from_file(str(checkpoint / "tokenizer.json")).encode(*PAIRS[0]).ids
    model = AutoModel.from_pretrained(checkpoint, dtype=torch.float32).eval()
    states: dict[int, torch.Tensor] = {}
    for layers in (2, 4):
        model.layers[layers - 1].register_forward_hook(
            lambda module, inputs, output, layers=layers: states.update({layers: output})
        )
    with torch.inference_mode():
        model(torch.tensor([ids]))
        heads = load_file(checkpoint / HEADS)
        for layers, state in states.items():
            normed = model.final_norm(state) if layers == 2 or declared else state
            raised = torch.nn.functional.gelu(
                heads[f"{layers}.64.0.weight"] @ normed[0, 0] + heads[f"{layers}.64.0.bias"]
            )
            expected = float(heads[f"{layers}.64.3.weight"][0] @ raised + heads[f"{layers}.64.3.bias"])
            found = Reranker(tmp_path / "out", layers=layers).score(PAIRS[:1]).logits[0]
            assert found == pytest.approx(expected, abs=1e-5)


def test_one_exit_and_width_alone_is_a_small_artifact(checkpoint: Path, artifact: Path, tmp_path: Path) -> None:
    manifest = export_tiny(checkpoint, tmp_path / "small", layers=2, dim=32)
    assert manifest.scoring.matryoshka and manifest.scoring.matryoshka.layers == (2,)
    small, whole = (folder / "onnx" / "model.onnx_data" for folder in (tmp_path / "small", artifact))
    assert small.stat().st_size < 0.8 * whole.stat().st_size
    np.testing.assert_allclose(
        Reranker(tmp_path / "small").score(PAIRS).logits,
        Reranker(artifact, layers=2, dim=32).score(PAIRS).logits,
        atol=1e-6,
    )


@pytest.mark.parametrize(("option", "value", "choices"), [("layers", 3, "4, 2, 1"), ("dim", 48, "64, 32, 16")])
def test_an_exit_or_width_that_is_not_there_is_one_sentence(
    checkpoint: Path, artifact: Path, tmp_path: Path, option: str, value: int, choices: str
) -> None:
    with pytest.raises(InputError, match=f"--{option} is {value}, and this checkpoint has heads for {choices}"):
        export_tiny(checkpoint, tmp_path / "out", **{option: value})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"{option} is {value}, and this artifact has {choices}"):
        Reranker(artifact, **{option: value})  # type: ignore[arg-type]


def test_layers_are_for_matryoshka_models(demo_artifact: Path) -> None:
    with pytest.raises(InputError, match="layers is 3, and this model has one exit"):
        Reranker(demo_artifact, layers=3)


def copy(checkpoint: Path, folder: Path, heads: dict[str, torch.Tensor] | None = None) -> Path:
    folder.mkdir()
    for path in checkpoint.iterdir():
        if not (heads and path.name == HEADS):
            (folder / path.name).write_bytes(path.read_bytes())
    if heads:
        save_file(heads, folder / HEADS)
    return folder


def test_heads_of_the_wrong_shape_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    heads = load_file(checkpoint / HEADS)
    wrong = copy(checkpoint, tmp_path / "wrong", {**heads, "2.32.0.weight": torch.zeros(16, 31)})
    with pytest.raises(CheckpointError, match=r"'2\.32\.0\.weight' .* has shape \[16, 31\].* makes it \[16, 32\]"):
        export_tiny(wrong, tmp_path / "out")
    deep = {name.replace("4.", "9.", 1) if name.startswith("4.") else name: value for name, value in heads.items()}
    with pytest.raises(CheckpointError, match=r"for the layers \[9, 2, 1\], and config.json has 4"):
        export_tiny(copy(checkpoint, tmp_path / "deep", deep), tmp_path / "out")


def test_a_contract_that_is_not_known_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(checkpoint, tmp_path / "contract")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "representation_contract": {"pooling": "mean"}}))
    with pytest.raises(UnsupportedError, match="sets pooling of representation_contract to 'mean'"):
        export_tiny(folder, tmp_path / "out")
    (folder / "matryoshka_config.json").write_text(json.dumps({"pooling_strategy": "mean"}))
    with pytest.raises(UnsupportedError, match="sets pooling_strategy to 'mean'"):
        export_tiny(folder, tmp_path / "out")


def test_a_text_of_32768_tokens_is_scored(artifact: Path) -> None:
    reranker = Reranker(artifact)
    assert reranker.max_length == 32768
    beginning, end = "Paris is the capital of France. ", "Bread is baked from flour and water."
    filler = "The committee met on the second Tuesday of the month and took minutes. " * 4000
    scores = reranker.score([("the capital of France", beginning + filler), ("the capital of France", end + filler)])
    assert scores.tokens.tolist() == [32768, 32768] and scores.truncated.all()
    assert np.isfinite(scores.logits).all() and scores.logits[0] != scores.logits[1]


def test_truncation_shows_in_the_long_document_test(artifact: Path) -> None:
    arguments = ["long-documents", str(artifact), "--max-length", "128", "--max-length", "4096", "--tokens", "1500"]
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    short, whole = json.loads(result.stdout)[str(artifact)]
    assert (short["max_length"], short["truncated"], short["accuracy"]["end"]) == (128, 1.0, 0.0)
    assert (whole["max_length"], whole["truncated"]) == (4096, 0.0)
    assert "answer at end" in CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
