"""4-bit weights: MatMulNBits, one scale per block of a column, float activations; 8 bits for those that matter most.

q/k/v and gate/up stay separate nodes, because WebGPU fuses only those.
"""

from collections.abc import Container

import onnx_ir as ir

from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.methods import EIGHT_BITS, METHODS, Method
from onnxrank.quantize.shared_result import SharedResult
from onnxrank.quantize.weights import (
    MICROSOFT,
    Exclude,
    WeightedNode,
    constant_matmuls,
    drop_unused_weights,
    initializer,
    lazy,
    replace,
    small_floats,
)

# Level 4 means int8 arithmetic inside the kernel, which is the fast path on CPUs and WebGPU.
ACCURACY_LEVEL = 4


def quantize_q4(
    model: ir.Model,
    *,
    block_size: int = 32,
    method: str = "gptq",
    wide: Container[str] = (),
    exclude: Exclude = None,
    hessians: Hessians | None = None,
) -> int:
    """Quantize every MatMul with a constant [K, N] weight, in place; return how many there were.

    block_size: a power of two, 16 to 256. method: a key of METHODS. wide: names of the weights that get 8 bits.
    hessians: what gptq needs; without one it rounds to nearest.
    """
    count = 0
    for found in constant_matmuls(model, exclude):
        chosen = EIGHT_BITS if found.name in wide else METHODS[method]
        replace(model, found.node, _multiply(model, found, block_size, chosen, hessians or Hessians()))
        count += 1
    drop_unused_weights(model)
    return count


def _multiply(
    model: ir.Model, found: WeightedNode, block_size: int, method: Method, hessians: Hessians
) -> list[ir.Node]:
    name, (rows, columns) = found.name, found.shape
    blocks = -(-rows // block_size)
    result = SharedResult(
        lambda: method.quantize(found.values(), block_size, hessians.of(name)), readers=3 if method.zero_points else 2
    )
    values, size = f"{name}.q{method.bits}", (columns, blocks, block_size * method.bits // 8)
    packed = lazy(values, ir.DataType.UINT8, size, lambda: result.read().packed)
    nodes: list[ir.Node] = []
    inputs = [
        found.node.inputs[0],
        initializer(model, values, packed),
        small_floats(model, nodes, f"{name}.scales", found.dtype, (columns, blocks), lambda: result.read().scales),
    ]
    if method.zero_points == "uint8":
        points = lazy(
            f"{name}.zero_points",
            ir.DataType.UINT8,
            (columns, -(-blocks // 2)),
            lambda: result.read().zero_points,
        )
        inputs.append(initializer(model, f"{name}.zero_points", points))
    elif method.zero_points == "float":
        inputs.append(
            small_floats(
                model,
                nodes,
                f"{name}.zero_points",
                found.dtype,
                (columns, blocks),
                lambda: result.read().zero_points,
            )
        )
    attributes = {
        "K": rows,
        "N": columns,
        "bits": method.bits,
        "block_size": block_size,
        "accuracy_level": ACCURACY_LEVEL,
    }
    return [*nodes, ir.node("MatMulNBits", inputs, attributes, domain=MICROSOFT, name=found.node.name)]
