"""The second moments that decide how weights are rounded: whose they are, and what they are."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from onnxrank.errors import InputError
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import prepare
from onnxrank.export.graph.heads import EXACT
from onnxrank.export.options import Options
from onnxrank.export.proof import calibration, oracle, sensitivity
from onnxrank.export.proof.calibration import TEXTS, calibration_pairs, hessians_of
from onnxrank.export.proof.oracle import measure_sensitivity
from onnxrank.export.proof.sensitivity import FLOOR, collect
from onnxrank.quantize.weights import constant_matmuls
from tests.exports import write_checkpoint
from tests.tiny_families import TINY


class Model(torch.nn.Module):
    """Two layers read the embedding, one their sum."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = torch.nn.Embedding(20, 6)
        self.left, self.right = torch.nn.Linear(6, 5), torch.nn.Linear(6, 5)
        self.last = torch.nn.Linear(5, 1)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.table

    def get_output_embeddings(self) -> None:
        return None

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.table(ids)
        return self.last(torch.tanh(self.left(x)) * self.right(x))[-1]  # type: ignore[no-any-return]


@pytest.mark.parametrize("group_bytes", [sensitivity.GROUP_BYTES, 1])
def test_moments_are_weighted_by_the_squared_gradient(
    group_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensitivity, "GROUP_BYTES", group_bytes)
    monkeypatch.setattr(sensitivity, "PANEL", 4)
    model, texts = Model(), [torch.tensor([1, 2, 3]), torch.tensor([4, 5])]
    done: list[int] = []
    files = collect(torch, model, [partial(model, ids) for ids in texts], folder=tmp_path, done=done.append)
    assert files["left"] == files["right"] != files["last"]
    assert sum(done) == len(texts)
    expected = np.zeros((6, 6))
    for ids in texts:
        x = model.table(ids).detach()
        left, right = (layer(x).detach().requires_grad_(True) for layer in (model.left, model.right))
        model.last(torch.tanh(left) * right)[-1].sum().backward()
        weight = (left.grad.square().sum(1) + right.grad.square().sum(1)).numpy()
        weight = (weight + FLOOR * weight.mean()) / 10
        expected += (x.numpy() * weight[:, None]).T @ x.numpy()
    np.testing.assert_allclose(np.load(files["left"]), expected, rtol=1e-4, atol=1e-8)


BUILT = [name for name in TINY if "traced" not in name]


@pytest.mark.parametrize("name", BUILT)
def test_every_weight_of_a_graph_has_its_moments(name: str, tmp_path: Path) -> None:
    tiny = TINY[name]
    checkpoint = write_checkpoint(tmp_path / "checkpoint", tiny.write)
    job = prepare(locate(str(checkpoint)), tiny.family, Options(family=tiny.options))
    files = measure_sensitivity(
        checkpoint, family=job.family.name, options=job.options.recorded(), pairs=[("a query", "its document")],
        out=tmp_path,
    )  # fmt: skip
    make = hessians_of(job.checkpoint, files)
    weights = [found for found in constant_matmuls(job.plan.graphs.padded(), EXACT) if "layer" in found.name]
    assert weights
    for found in weights:
        hessian = make().of(found.name)
        assert hessian is not None, found.name
        assert hessian.shape == (found.shape[0],) * 2 and np.trace(hessian) > 0


def test_texts_are_given_or_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "PAIRS", 64)
    assert len(calibration_pairs(None)) == 2 * len(TEXTS.read_text(encoding="utf-8").splitlines())
    own = tmp_path / "own.jsonl"
    own.write_text('{"query": "q", "documents": ["a", "b"]}\n')
    assert calibration_pairs(own) == [("q", "a"), ("q", "b")]
    own.write_text("")
    with pytest.raises(InputError, match="holds nothing"):
        calibration_pairs(own)
    own.write_text("{}\n")
    with pytest.raises(InputError, match=r"own\.jsonl, line 1"):
        calibration_pairs(own)


@pytest.mark.parametrize("options", [{"quality": "fast"}, {"variants": ("fp32",)}, {"method": "rtn"}])
def test_texts_that_nothing_reads_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint", TINY["bert"].write)
    with pytest.raises(InputError, match="would not be read"):
        prepare(locate(str(checkpoint)), "cross-encoder", Options(calibration=tmp_path / "own.jsonl", **options))


@pytest.mark.parametrize("name", BUILT)
def test_stored_bfloat16_weights_have_the_same_moments_as_in_float32(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oracle, "WIDENED", 7)
    tiny, found = TINY[name], []
    for dtype in (torch.bfloat16, torch.float32):
        checkpoint = write_checkpoint(tmp_path / str(dtype), tiny.write)
        for file in checkpoint.rglob("*.safetensors"):
            rounded = {key: value.to(torch.bfloat16).to(dtype) for key, value in load_file(file).items()}
            save_file(rounded, file, metadata={"format": "pt"})
        for file in checkpoint.rglob("config.json"):
            config = json.loads(file.read_text())
            file.write_text(json.dumps(config | {"dtype": str(dtype).removeprefix("torch.")}))
        (out := tmp_path / f"{dtype} moments").mkdir()
        job = prepare(locate(str(checkpoint)), tiny.family, Options(family=tiny.options))
        files = measure_sensitivity(
            checkpoint, family=job.family.name, options=job.options.recorded(),
            pairs=[("a query", "its document"), ("another", "the other document")], out=out,
        )  # fmt: skip
        found.append({module: np.load(file) for module, file in files.items()})
    for module, moments in found[0].items():
        np.testing.assert_allclose(moments, found[1][module], rtol=1e-3, atol=1e-5 * np.abs(moments).max())
