"""Rotated graphs compute the same, with activations that have no outliers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from numpy.typing import NDArray

from onnxrank.engine.device import CPU
from onnxrank.engine.past_file import past_names
from onnxrank.engine.prefix import prefix_feeds
from onnxrank.engine.session import session_options
from onnxrank.export.artifact.saving import save_graphs
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import Job, prepare
from onnxrank.export.graph.heads import EXACT
from onnxrank.export.options import Options
from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.rotate import rotate, rotation
from onnxrank.quantize.spread import BLOCK, HADAMARD, spread
from tests.exports import write_checkpoint
from tests.tiny import CONFIGS, VOCABULARY, write_tiny
from tests.tiny_families import TINY

RNG = np.random.default_rng(0)
IDS = RNG.integers(0, VOCABULARY, (3, 12))


def job_of(name: str, folder: Path) -> Job:
    """Return the export of a tiny checkpoint of a family, or of a decoder with a configuration."""
    if name in CONFIGS:
        write_tiny(folder, **CONFIGS[name])
        return prepare(locate(str(folder)), "qwen3-reranker", Options())
    checkpoint = write_checkpoint(folder, TINY[name].write)
    return prepare(locate(str(checkpoint)), TINY[name].family, Options(family=TINY[name].options))


def run(model: ir.Model, feeds: dict[str, Any], path: Path) -> list[NDArray[np.float32]]:
    save_graphs([(path / "graphs" / "model.onnx", model)])
    session = onnxruntime.InferenceSession(str(path / "graphs" / "model.onnx"), session_options(1), providers=[CPU])
    names = {value.name for value in session.get_inputs()}
    return list(session.run(["logits"], {name: value for name, value in feeds.items() if name in names}))


@pytest.mark.parametrize("size", [1, 32, 96, 576, 896, 1024])
def test_a_rotation_keeps_lengths_and_mixes_all_channels(size: int) -> None:
    matrix = rotation(size)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-12)
    # The odd factor's cosines are at most sqrt(2) larger than equal magnitudes.
    assert np.abs(matrix).max() <= np.sqrt(2 / size) + 1e-12


@pytest.mark.parametrize("name", [*CONFIGS, "zerank"])
def test_a_rotated_decoder_computes_the_same(name: str, tmp_path: Path) -> None:
    job = job_of(name, tmp_path / "checkpoint")
    shape = job.plan.scoring.kv_cache
    assert job.plan.graphs.prefix and shape
    mask = np.ones_like(IDS)
    mask[1, 7:] = 0
    mask[2, :4] = 0
    empty = np.zeros((shape.heads, 0, shape.head_dim), np.float32)
    past = dict.fromkeys(past_names("past_key_values", shape), empty)
    inputs: tuple[tuple[Callable[[], ir.Model], dict[str, Any]], ...] = (
        (job.plan.graphs.padded, {"input_ids": IDS, "attention_mask": mask}),
        (job.plan.graphs.prefix, {**prefix_feeds([row.tolist() for row in IDS]), **past}),
    )
    for build, feeds in inputs:
        plain, rotated = build(), build()
        gains = {name for name in plain.graph.initializers if "layernorm" in name}
        assert rotate(rotated, Hessians())
        assert spread(rotated, Hessians(), exclude=EXACT) == 3
        assert gains and not gains & set(rotated.graph.initializers)
        expected, found = run(plain, feeds, tmp_path)[0], run(rotated, feeds, tmp_path)[0]
        np.testing.assert_allclose(found, expected, atol=2e-5)
        assert np.ptp(expected) > 1e-3


@pytest.mark.parametrize("name", ["bert", "modernbert", "qwen3-embedding"])
def test_other_structures_stay_as_they_are(name: str, tmp_path: Path) -> None:
    """Norms that subtract a mean, and hidden states that are the result."""
    job = job_of(name, tmp_path / "checkpoint")
    model = job.plan.graphs.padded()
    before = {name: value.const_value for name, value in model.graph.initializers.items()}
    assert not rotate(model, Hessians())
    assert {name: value.const_value for name, value in model.graph.initializers.items()} == before


def test_an_outlier_is_spread_over_its_block() -> None:
    x = np.zeros(2 * BLOCK)
    x[3] = 100.0
    found = (x.reshape(2, BLOCK) @ rotation(BLOCK)).ravel()
    np.testing.assert_allclose(np.abs(found[:BLOCK]), 100 / np.sqrt(BLOCK))
    assert not found[BLOCK:].any()


def test_the_hadamard_matrix_is_shared_and_stays_float(tmp_path: Path) -> None:
    job = job_of("tied", tmp_path / "checkpoint")
    model = job.plan.graphs.padded()
    spread(model, Hessians(), exclude=EXACT)
    value = model.graph.initializers[HADAMARD]
    assert len(value.uses()) == 3 and value.const_value is not None
    assert value.const_value.dtype == ir.DataType.FLOAT


def test_hessians_follow_the_weights(tmp_path: Path) -> None:
    """The error of a product does not depend on the basis."""
    job = job_of("tied", tmp_path / "checkpoint")
    plain, changed = job.plan.graphs.padded(), job.plan.graphs.padded()
    names = [name for name in plain.graph.initializers if name.endswith("_proj.weight.T")]
    moments = {}
    for name in names:
        x = RNG.standard_normal((200, values_of(plain, name).shape[0]))
        moments[name] = x.T @ x
    hessians = Hessians({name: partial(moments.__getitem__, name) for name in names})
    assert rotate(changed, hessians) and spread(changed, hessians, exclude=EXACT)
    for name in names:
        before, after = values_of(plain, name), values_of(changed, name)
        moved = hessians.of(name)
        assert moved is not None
        # The outputs of o and down are rotated too, and those of v by head, which changes no length.
        np.testing.assert_allclose(
            np.trace(after.T @ moved @ after), np.trace(before.T @ moments[name] @ before), rtol=1e-4, err_msg=name
        )


def values_of(model: ir.Model, name: str) -> NDArray[np.float64]:
    tensor = model.graph.initializers[name].const_value
    assert tensor is not None
    values: NDArray[np.float64] = tensor.numpy().astype(np.float64)
    return values
