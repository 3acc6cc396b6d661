"""Matrices with 8 bits among those with 4: which ones they are, and what they hold."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from numpy.typing import NDArray

from onnxrank.engine.device import CPU
from onnxrank.engine.session import session_options
from onnxrank.export.artifact.saving import save_graphs
from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.int8 import quantize_channels
from onnxrank.quantize.q4 import quantize_q4
from onnxrank.quantize.requantize import quantize_requantized, requantize_graph
from onnxrank.quantize.wide import GROWTH, spare_bytes, wide_matrices

RNG = np.random.default_rng(0)
ROWS = 96
WEIGHTS = {name: (RNG.standard_normal((ROWS, ROWS)) / 10).astype(np.float32) for name in ("first", "second", "third")}
INPUTS = RNG.standard_normal((200, ROWS))
MOMENTS = INPUTS.T @ INPUTS


def chain() -> ir.Model:
    """x -> MatMul -> MatMul -> MatMul."""
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["rows", ROWS]))
    weights, nodes, last = [], [], x
    for name, value in WEIGHTS.items():
        weight = ir.Value(name=name, const_value=ir.tensor(value, name=name), type=ir.TensorType(ir.DataType.FLOAT))
        weights.append(weight)
        nodes.append(ir.node("MatMul", [last, weight], name=f"{name}.product"))
        last = nodes[-1].outputs[0]
        last.name = f"{name}.product"
    last.type = ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(
        [x], [last], nodes=nodes, initializers=weights, opset_imports={"": 21, "com.microsoft": 1}, name="chain"
    )
    return ir.Model(graph, ir_version=10)


def hessians(**costs: float) -> Hessians:
    return Hessians({name: lambda cost=cost: cost * MOMENTS for name, cost in costs.items()})  # type: ignore[misc]


def chosen(moments: Hessians, spare: float) -> frozenset[str]:
    return wide_matrices(chain(), moments, spare, block_size=32, exclude=None)


def test_the_weights_on_which_the_score_depends_most_get_8_bits() -> None:
    costs = {"first": 1.0, "second": 5.0, "third": 2.0}
    # One matrix grows by half a byte a value.
    one = ROWS * ROWS / 2
    assert chosen(hessians(**costs), one * 0.99) == set()
    assert chosen(hessians(**costs), one * 1.01) == {"second"}
    assert chosen(hessians(**costs), one * 2.01) == {"second", "third"}
    assert chosen(hessians(second=1.0), one * 9) == {"second"}
    assert chosen(Hessians(), one * 9) == set()
    # In 4 bits a value takes 9 / 16 of a byte, with its scale.
    assert spare_bytes(chain(), block_size=32, exclude=None) == pytest.approx(GROWTH * 3 * ROWS * ROWS * 9 / 16)


def run(path: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(path, session_options(None), providers=[CPU])
    found: NDArray[np.float32] = session.run(None, {"x": x})[0]
    return found


@pytest.mark.parametrize("block_size", [32, 64])
def test_8_bits_lose_less_and_survive_requantization(block_size: int, tmp_path: Path) -> None:
    narrow, wide, prefix = chain(), chain(), chain()
    quantize_q4(narrow, block_size=block_size)
    quantize_q4(wide, block_size=block_size, wide=WEIGHTS, hessians=hessians(first=1.0))
    quantize_requantized(prefix)
    save_graphs([(tmp_path / "wide.onnx", wide), (tmp_path / "prefix.onnx", prefix)])
    ir.save(narrow, tmp_path / "narrow.onnx")

    x = INPUTS[:50].astype(np.float32)
    exact = x @ WEIGHTS["first"] @ WEIGHTS["second"] @ WEIGHTS["third"]
    errors = [np.abs(run(tmp_path / f"{name}.onnx", x) - exact).max() for name in ("wide", "narrow")]
    assert errors[0] < errors[1] / 4

    ir.save(requantize_graph(wide), tmp_path / "requantize.onnx")
    requantize = onnxruntime.InferenceSession(tmp_path / "requantize.onnx", providers=[CPU])
    for name, weight in WEIGHTS.items():
        values, scales = requantize.run([f"{name}.requantized", f"{name}.channel_scales"], {})
        moments = MOMENTS if name == "first" else None
        expected, expected_scales = quantize_channels(weight, moments, stored_in=np.float16)
        np.testing.assert_array_equal(values, expected)
        np.testing.assert_allclose(scales, expected_scales, rtol=1e-6)
