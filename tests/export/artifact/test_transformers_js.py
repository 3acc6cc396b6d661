"""What Transformers.js reads of an artifact; that it can be opened there is tested in JavaScript."""

import json
from pathlib import Path
from typing import Any

from onnxrank.artifact.manifest import Variant
from onnxrank.artifact.variants import PRECISIONS, PREFERRED
from onnxrank.export.artifact.transformers_js import write_config


def variant(name: str) -> Variant:
    path = f"onnx/model{PRECISIONS[name].suffix}.onnx"
    files = (path, f"{path}_data", f"{path}_data_1", "onnx/requantize.onnx")
    return Variant(
        padded=path, prefix=None, requantize=None, past=None, exits={}, files=files,
        settings={}, kept_float32=(), parity={}, batch_effect=0.0, graph_difference=0.0, accepted_loss=False,
        evaluation=None,
    )  # fmt: skip


def config_of(config: dict[str, Any], variants: list[str], folder: Path) -> dict[str, Any]:
    write_config(config, {name: variant(name) for name in variants}, folder)
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


def test_each_device_gets_a_dtype_that_is_there(tmp_path: Path) -> None:
    config = config_of({"model_type": "qwen3"}, ["fp16", "q4", "int8"], tmp_path)["transformers.js_config"]
    assert config["dtype"] == "fp16"
    assert config["device_config"] == {"wasm": {"dtype": "q8"}, "cpu": {"dtype": "q8"}, "webgpu": {"dtype": "q4"}}
    assert config["use_external_data_format"] == {
        "model_fp16.onnx": 2,
        "model_q4.onnx": 2,
        "model_quantized.onnx": 2,
    }
    for names in PREFERRED.values():
        assert set(names) == set(PRECISIONS)


def test_a_nested_body_comes_to_the_top(tmp_path: Path) -> None:
    config = config_of(
        {"arch": "X", "model_type": "x", "backbone_config": {"model_type": "qwen3", "hidden_size": 64}},
        ["q4"],
        tmp_path,
    )
    assert (config["model_type"], config["hidden_size"], config["arch"]) == ("qwen3", 64, "X")
    assert config["backbone_config"] == {"model_type": "qwen3", "hidden_size": 64}
