"""The model repository for Triton; tests/runtime/integrations/test_triton.py has the server."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

from onnxrank import Reranker
from onnxrank.artifact.golden import read_golden
from onnxrank.artifact.opening import open_artifact
from onnxrank.cli.app import app
from onnxrank.errors import OutputError
from onnxrank.triton_repository import write_repository
from tests.exports import export_tiny, write_checkpoint
from tests.scoring import on_padded_graph
from tests.tiny_families import TINY

GRAPH = """name: "tiny_graph"
backend: "onnxruntime"
max_batch_size: 64
input [
  { name: "input_ids" data_type: TYPE_INT64 dims: [ -1 ] },
  { name: "attention_mask" data_type: TYPE_INT64 dims: [ -1 ] }
]
output [
  { name: "logits" data_type: TYPE_FP32 dims: [ 1 ] }
]
dynamic_batching { max_queue_delay_microseconds: 1000 }
"""


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    checkpoint = write_checkpoint(folder / "checkpoints" / "tiny", TINY["qwen3-reranker"].write)
    export_tiny(checkpoint, folder / "artifact", family="qwen3-reranker", variants=("fp32", "q4"))
    return folder / "artifact"


def test_the_scorers_folder_scores_and_holds_one_variant(artifact: Path, tmp_path: Path) -> None:
    scorer, _ = write_repository(open_artifact(artifact), tmp_path, variant="q4", threads=2)
    text = (scorer / "config.pbtxt").read_text()
    assert (
        'key: "variant" value: { string_value: "q4" }' in text and 'key: "threads" value: { string_value: "2" }' in text
    )
    assert "from onnxrank.integrations.triton import TritonPythonModel" in (scorer / "1" / "model.py").read_text()
    shipped = scorer / "1" / "artifact"
    pair = ("sort an array", "sort(a): sorts an array")
    assert Reranker(shipped, variant="q4").predict(pair) == Reranker(artifact, variant="q4").predict(pair)
    assert not (shipped / "onnx" / "model.onnx").exists()


@pytest.mark.parametrize("variant", ["fp32", "q4"])
def test_the_graphs_folder_has_what_onnx_runtime_loads(artifact: Path, tmp_path: Path, variant: str) -> None:
    _, graph = write_repository(open_artifact(artifact), tmp_path, variant=variant)
    assert (graph / "config.pbtxt").read_text() == GRAPH
    session = onnxruntime.InferenceSession(str(graph / "1" / "model.onnx"), providers=["CPUExecutionProvider"])
    pair = read_golden(artifact).scored[0]
    ids = np.array([pair.token_ids])
    (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    expected = on_padded_graph(artifact, variant).score([(pair.query, pair.document)]).logits
    np.testing.assert_allclose(logits[0], expected, atol=1e-5)
    assert not list((graph / "1").glob("prefix*"))


def test_inputs_are_those_of_the_graph(tmp_path: Path) -> None:
    tiny = TINY["bert"]
    checkpoint = write_checkpoint(tmp_path / "checkpoint", tiny.write)
    export_tiny(checkpoint, tmp_path / "bert", family=tiny.family)
    _, graph = write_repository(open_artifact(tmp_path / "bert"), tmp_path / "repository")
    assert 'name: "token_type_ids" data_type: TYPE_INT64 dims: [ -1 ]' in (graph / "config.pbtxt").read_text()


def test_the_command_keeps_other_models(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    arguments = ["triton", str(artifact), "--out", str(tmp_path), "--variant", "fp32"]
    shown = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert shown.output == f"wrote {tmp_path / 'tiny'}\nwrote {tmp_path / 'tiny_graph'}\n"
    with pytest.raises(OutputError, match="tiny exists; give --force to replace it"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    CliRunner().invoke(app, [*arguments, "--force"], catch_exceptions=False)
