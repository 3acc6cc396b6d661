"""Measures how fast this machine multiplies matrices: `python -m benchmarks.ceilings_worker WORKLOADS`.

It times the matrix products of one layer with 256 tokens in ONNX Runtime, each in its own loop: float32 MatMul, and
MatMulInteger of unsigned by signed bytes. A model cannot be faster than these products.
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.peers.worker import Score, serve

TOKENS = 256
# Inputs and outputs of q, k, v, o, gate, up and down.
SHAPES = ((1024, 2048), (1024, 1024), (1024, 1024), (2048, 1024), (1024, 3072), (1024, 3072), (3072, 1024))
REPEATS = 9
OPERATIONS = 2 * TOKENS * sum(inputs * outputs for inputs, outputs in SHAPES)


def main(workloads: Path) -> None:
    def load() -> Score:
        rng = np.random.default_rng(0)
        kinds = [[_product(rng, inputs, outputs, integer) for inputs, outputs in SHAPES] for integer in (True, False)]
        # The "scores" are billions of operations per second, first of int8, then of fp32.
        return lambda request: [OPERATIONS / sum(map(_seconds, products)) / 1e9 for products in kinds]

    serve(load, workloads)


def _seconds(product: tuple[bytes, dict[str, Any]]) -> float:
    model, feeds = product
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # The session lives only for this product, because idle threads of other sessions spin and would slow it down.
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    spent = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        session.run(None, feeds)
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def _product(rng: np.random.Generator, inputs: int, outputs: int, integer: bool) -> tuple[bytes, dict[str, Any]]:
    if integer:
        weight: NDArray[Any] = rng.integers(-127, 128, (inputs, outputs)).astype(np.int8)
        x: NDArray[Any] = rng.integers(0, 256, (TOKENS, inputs)).astype(np.uint8)
        node = helper.make_node("MatMulInteger", ["x", "weight", "zero_point"], ["y"])
        constants = {"weight": weight, "zero_point": np.array(128, np.uint8)}
        types = TensorProto.UINT8, TensorProto.INT32
    else:
        weight = rng.standard_normal((inputs, outputs), np.float32)
        x = rng.standard_normal((TOKENS, inputs), np.float32)
        node = helper.make_node("MatMul", ["x", "weight"], ["y"])
        constants = {"weight": weight}
        types = TensorProto.FLOAT, TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", types[0], [TOKENS, inputs])],
        [helper.make_tensor_value_info("y", types[1], [TOKENS, outputs])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return model.SerializeToString(), {"x": x}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
