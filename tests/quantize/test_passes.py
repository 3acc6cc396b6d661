"""Each pass, compared with NumPy on the same weights."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from numpy.typing import NDArray

from onnxrank.engine.device import CPU, Device
from onnxrank.engine.requantized import ALIGNED
from onnxrank.engine.session import Session, session_options
from onnxrank.errors import ArtifactError
from onnxrank.export.artifact.saving import save_graphs
from onnxrank.quantize.embedding import quantize_blocks, quantize_embeddings, quantize_rows
from onnxrank.quantize.embedding_rows import keep_rows
from onnxrank.quantize.float16 import KEPT, convert_float16
from onnxrank.quantize.int8 import quantize_int8
from onnxrank.quantize.methods import METHODS, Blocks
from onnxrank.quantize.q4 import quantize_q4
from onnxrank.quantize.requantize import LOCATION, quantize_requantized, requantize_graph

RNG = np.random.default_rng(0)
TABLE = RNG.standard_normal((50, 96)).astype(np.float32)
WEIGHT = (RNG.standard_normal((96, 40)) / 10).astype(np.float32)
HEAD = RNG.standard_normal((40, 1)).astype(np.float32)


def small_model() -> ir.Model:
    """ids -> embedding -> MatMul -> MatMul (the head)."""
    ids = ir.Value(name="ids", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(["batch", "length"]))
    weights = [
        ir.Value(name=name, const_value=ir.tensor(value, name=name), type=ir.TensorType(ir.DataType.FLOAT))
        for name, value in (("table", TABLE), ("weight", WEIGHT), ("head", HEAD))
    ]
    row = ir.node("Gather", [weights[0], ids], {"axis": 0}, name="row")
    hidden = ir.node("MatMul", [row.outputs[0], weights[1]], name="hidden")
    logits = ir.node("MatMul", [hidden.outputs[0], weights[2]], name="logits")
    for node in (row, hidden, logits):
        node.outputs[0].name = node.name
    logits.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph(
        [ids], logits.outputs, nodes=[row, hidden, logits], initializers=weights,
        opset_imports={"": 21, "com.microsoft": 1}, name="small",
    )  # fmt: skip
    return ir.Model(graph, ir_version=10)


def run(model: ir.Model, ids: NDArray[np.int64], path: Path) -> NDArray[np.float32]:
    ir.save(model, path)
    session = onnxruntime.InferenceSession(path, session_options(None), providers=[CPU])
    output: NDArray[np.float32] = session.run(["logits"], {"ids": ids})[0]
    return output


def ops(model: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


IDS = RNG.integers(0, 50, (3, 7))


def test_int8_is_the_formula(tmp_path: Path) -> None:
    model = small_model()
    assert quantize_int8(model, exclude="head") == 1
    x = TABLE[IDS]
    scale = np.abs(x).max(-1, keepdims=True) / 127
    weight_scale = np.abs(WEIGHT).max(0) / 127
    product = np.rint(x / scale) @ np.rint(WEIGHT / weight_scale) * scale * weight_scale
    np.testing.assert_allclose(run(model, IDS, tmp_path / "m.onnx"), product @ HEAD, rtol=1e-4, atol=1e-4)
    assert ops(model)["MatMul"] == 1
    assert "weight" not in model.graph.initializers


def test_int8_tokens_do_not_see_each_other(tmp_path: Path) -> None:
    model = small_model()
    quantize_int8(model, exclude="head")
    batch = run(model, IDS, tmp_path / "m.onnx")
    for row, ids in enumerate(IDS):
        np.testing.assert_array_equal(run(model, ids[None, :3], tmp_path / "m.onnx")[0], batch[row, :3])


def test_int8_shares_the_activation_between_matrices() -> None:
    model = small_model()
    hidden = next(node for node in model.graph if node.name == "hidden")
    twin = ir.node("MatMul", hidden.inputs, name="twin")
    twin.outputs[0].name = "twin"
    model.graph.insert_after(hidden, twin)
    assert quantize_int8(model, exclude="head") == 2
    assert ops(model)["QuantizeLinear"] == 1


def dequantize(blocks: Blocks, rows: int) -> NDArray[np.float32]:
    low, high = blocks.packed & 15, blocks.packed >> 4
    values = np.stack([low, high], -1).reshape(*blocks.packed.shape[:2], -1).astype(np.float32)
    zero: NDArray[np.float32] | float = 8.0
    if blocks.zero_points.size:
        points = blocks.zero_points
        if points.dtype == np.uint8:
            points = np.stack([points & 15, points >> 4], -1).reshape(len(points), -1)
        zero = points[:, : blocks.scales.shape[1], None].astype(np.float32)
    return ((values - zero) * blocks.scales[..., None]).reshape(len(values), -1)[:, :rows].T


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("block_size", [16, 32, 64, 256])
def test_q4_weights_are_near_and_the_graph_uses_them(method: str, block_size: int, tmp_path: Path) -> None:
    weight = dequantize(METHODS[method].quantize(WEIGHT, block_size, None), len(WEIGHT))
    error = np.sqrt(np.square(weight - WEIGHT).mean() / np.square(WEIGHT).mean())
    # Gaussian weights in 4 bits: a tenth, growing with the block.
    assert 0.02 < error < 0.17
    model = small_model()
    assert quantize_q4(model, block_size=block_size, method=method, exclude="head") == 1
    assert "weight" not in model.graph.initializers
    found = run(model, IDS, tmp_path / "m.onnx")
    # accuracy_level 4 also quantizes the activations, to 8 bits.
    np.testing.assert_allclose(found, TABLE[IDS] @ weight @ HEAD, atol=0.25)
    assert np.abs(found - TABLE[IDS] @ weight @ HEAD).max() < np.abs(found - TABLE[IDS] @ WEIGHT @ HEAD).max()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("block_size", [16, 32, 64, 256])
def test_requantized_weights_are_the_4_bit_ones_in_int8(method: str, block_size: int, tmp_path: Path) -> None:
    padded, prefix = small_model(), small_model()
    quantize_q4(padded, block_size=block_size, method=method, exclude="head")
    assert quantize_requantized(prefix, exclude="head") == 1
    save_graphs([(tmp_path / "padded.onnx", padded), (tmp_path / "prefix.onnx", prefix)])
    ir.save(requantize_graph(padded), tmp_path / "requantize.onnx")
    requantize = onnxruntime.InferenceSession(tmp_path / "requantize.onnx", providers=[CPU])
    values, scales = requantize.run(["weight.requantized", "weight.channel_scales"], {})

    blocks = METHODS[method].quantize(WEIGHT, block_size, None)
    if blocks.zero_points.dtype == np.float32:
        blocks = replace(blocks, zero_points=blocks.zero_points.astype(np.float16))
    weight = dequantize(replace(blocks, scales=blocks.scales.astype(np.float16).astype(np.float32)), len(WEIGHT))
    assert values.dtype == np.int8
    # Half a step; steps are no wider than the column needs, except for the unused range of an asymmetric block.
    assert np.all(np.abs(values * scales - weight) <= scales * 0.5001)
    assert np.all(scales <= np.abs(weight).max(axis=0) / 127 * (1.001 if method == "rtn" else 1.35))

    # Joined, they are the content of the file that the prefix graph names.
    outputs = [array.tobytes() for array in requantize.run(None, {})]
    content = b"".join(piece.ljust(-(-len(piece) // ALIGNED) * ALIGNED, b"\0") for piece in outputs)
    named = {
        tensor.name: {entry.key: entry.value for entry in tensor.external_data}
        for tensor in onnx.load(tmp_path / "prefix.onnx", load_external_data=False).graph.initializer
    }
    for name, array in (("weight.requantized", values), ("weight.channel_scales", scales)):
        place = named[name]
        assert place["location"] == LOCATION
        assert content[int(place["offset"]) :][: int(place["length"])] == array.tobytes()

    session = Session(tmp_path / "prefix.onnx", Device(), requantize=tmp_path / "requantize.onnx")
    (found,) = session.runner([1]).run(["logits"], {"ids": IDS})
    x = TABLE[IDS]
    scale = np.abs(x).max(-1, keepdims=True) / 127
    np.testing.assert_allclose(found, np.rint(x / scale) * scale @ (values * scales) @ HEAD, rtol=1e-4, atol=1e-4)


def test_weights_that_were_not_requantized_are_missed(tmp_path: Path) -> None:
    model = small_model()
    quantize_requantized(model, exclude="head")
    ir.save(model, tmp_path / "prefix.onnx")
    with pytest.raises(ArtifactError, match="cannot load"):
        Session(tmp_path / "prefix.onnx", Device()).runner([1]).run(["logits"], {"ids": IDS})


def test_symmetric_q4_has_no_zero_points() -> None:
    model = small_model()
    quantize_q4(model, exclude="head")
    node = next(node for node in model.graph if node.op_type == "MatMulNBits")
    assert len(node.inputs) == 3


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantize the table in three slices, the last of them shorter."""
    monkeypatch.setattr("onnxrank.quantize.embedding.SLICE_ROWS", 20)


@pytest.mark.usefixtures("small_slices")
def test_embedding_rows_are_the_formula(tmp_path: Path) -> None:
    model = small_model()
    assert quantize_embeddings(model) == 1
    scale = np.abs(TABLE).max(1, keepdims=True) / 127
    rows = (np.rint(TABLE / scale) * scale)[IDS]
    np.testing.assert_allclose(run(model, IDS, tmp_path / "m.onnx"), rows @ WEIGHT @ HEAD, rtol=1e-4, atol=1e-4)
    assert "table" not in model.graph.initializers


@pytest.mark.usefixtures("small_slices")
def test_four_bit_embedding_rows_are_the_formula(tmp_path: Path) -> None:
    model = small_model()
    assert quantize_embeddings(model, 4) == 1
    blocks = TABLE.reshape(50, 3, 32)
    extremes = np.take_along_axis(blocks, np.abs(blocks).argmax(2)[..., None], 2)
    scale = extremes / -8
    rows = (np.clip(np.rint(blocks / scale), -8, 7) * scale.astype(np.float16)).reshape(50, 96)[IDS]
    np.testing.assert_allclose(run(model, IDS, tmp_path / "m.onnx"), rows @ WEIGHT @ HEAD, rtol=1e-3, atol=1e-2)
    assert "table" not in model.graph.initializers


@pytest.mark.parametrize("quantize", [quantize_rows, quantize_blocks])
def test_a_row_of_zeros_stays_zero(quantize: Any) -> None:
    """Checkpoints have one for the padding token."""
    values, scales = quantize(np.concatenate([TABLE[:1], np.zeros_like(TABLE[:1])]))
    zero = 0x88 if quantize is quantize_blocks else 0
    assert values[0].any() and (values[1] == zero).all() and np.isfinite(scales).all()


@pytest.mark.parametrize("quantized", [False, True])
def test_kept_rows_are_the_tables_own(quantized: bool, tmp_path: Path) -> None:
    whole, cut, rows = small_model(), small_model(), np.array([1, 4, 9, 49])
    cut.graph.inputs[0].name = "input_ids"
    assert keep_rows(cut, rows) == 1
    cut.graph.inputs[0].name = "ids"
    for model in (whole, cut) if quantized else ():
        quantize_embeddings(model)
    ids = RNG.integers(0, len(rows), (3, 7))
    found = run(cut, ids, tmp_path / "cut.onnx")
    np.testing.assert_array_equal(found, run(whole, rows[ids], tmp_path / "whole.onnx"))
    assert (tmp_path / "cut.onnx").stat().st_size < (tmp_path / "whole.onnx").stat().st_size


def test_tables_that_are_not_the_vocabularys_keep_their_rows() -> None:
    rows = np.array([1, 4])
    other, short, shared = small_model(), small_model(), small_model()
    for model in (short, shared):
        model.graph.inputs[0].name = "input_ids"
    table = shared.graph.initializers["table"]
    shared.graph.append(ir.node("MatMul", [table, shared.graph.initializers["weight"]]))
    assert [keep_rows(other, rows), keep_rows(short, np.array([1, 50])), keep_rows(shared, rows)] == [0, 0, 0]


def test_float16_keeps_the_head_and_the_output(tmp_path: Path) -> None:
    model = small_model()
    assert convert_float16(model, exclude="head") == KEPT
    dtypes = {name: value.const_value.dtype for name, value in model.graph.initializers.items() if value.const_value}
    half, whole = ir.DataType.FLOAT16, ir.DataType.FLOAT
    assert dtypes == {"table.float16": half, "weight.float16": half, "head": whole}
    found = run(model, IDS, tmp_path / "m.onnx")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, TABLE[IDS] @ WEIGHT @ HEAD, atol=0.02)


def test_float16_keeps_the_residual_stream_after_the_embedding() -> None:
    model = small_model()
    row, hidden = (next(node for node in model.graph if node.name == name) for name in ("row", "hidden"))
    double = ir.node("Add", [row.outputs[0], row.outputs[0]], name="double")
    double.outputs[0].name = "double"
    model.graph.insert_after(row, double)
    hidden.replace_input_with(0, double.outputs[0])
    convert_float16(model, exclude="head")
    assert [value.name for value in double.inputs if value] == ["row.float32"] * 2


def test_float16_keeps_the_type_of_scores_and_changes_that_of_inputs() -> None:
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["batch", 96]))
    weight = ir.Value(name="weight", const_value=ir.tensor(WEIGHT), type=ir.TensorType(ir.DataType.FLOAT))
    logits = ir.node("MatMul", [x, weight], name="logits")
    logits.outputs[0].name, logits.outputs[0].type = "logits", ir.TensorType(ir.DataType.FLOAT)
    graph = ir.Graph([x], logits.outputs, nodes=[logits], initializers=[weight], opset_imports={"": 21})
    model = ir.Model(graph, ir_version=10)
    convert_float16(model)
    assert [value.dtype for value in model.graph.inputs] == [ir.DataType.FLOAT16]
    assert [(value.name, value.dtype) for value in model.graph.outputs] == [("logits", ir.DataType.FLOAT)]
    assert ops(model) == {"MatMul": 1, "Cast": 1}
