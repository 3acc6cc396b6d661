"""Methods that choose 4-bit or 8-bit values for blocks of a weight, in the layout of ONNX Runtime's MatMulNBits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.quantize.int8 import quantize_channels
from onnxrank.quantize.rounding import rounded

LOWEST, HIGHEST = -8, 7

Hessian = NDArray[np.float64] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """A [K, N] matrix in the layout of MatMulNBits.

    packed: uint8 [N, blocks, block_size x bits / 8], low half first. scales: float32 [N, blocks].
    zero_points: uint8 packed [N, ceil(blocks / 2)], float32 [N, blocks], or empty if all are half of the range.
    """

    packed: NDArray[np.uint8]
    scales: NDArray[np.float32]
    zero_points: NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """quantize(weight [K, N], block_size, hessian) takes second moments of the inputs, [K, K] or None. zero_points: the
    kind that it returns: None, "uint8" or "float". bits: of a value."""

    quantize: Callable[[NDArray[np.float32], int, Hessian], Blocks]
    zero_points: str | None
    bits: int = 4


def eight_bits(weight: NDArray[np.float32], block_size: int, hessian: Hessian = None) -> Blocks:
    """Symmetric, with 8 bits and one scale for a whole column: requantizing it to int8 changes nothing."""
    values, scales = quantize_channels(weight, hessian, stored_in=np.float16)
    blocks = _pad_rows(values.T, block_size).reshape(weight.shape[1], -1, block_size)
    packed = (blocks.astype(np.int16) + 128).astype(np.uint8)
    return Blocks(
        packed=packed,
        scales=np.repeat(scales[:, None], blocks.shape[1], axis=1),
        zero_points=np.empty(0, np.uint8),
    )


def gptq(weight: NDArray[np.float32], block_size: int, hessian: Hessian = None) -> Blocks:
    """Symmetric; values are rounded so that their errors cancel, see rounding.py, or to nearest without a Hessian."""
    scales = block_scales(weight, block_size)
    steps = np.repeat(scales.T, block_size, axis=0)[: len(weight)]
    values = rounded(weight, steps, LOWEST, HIGHEST, hessian).T
    blocks = _pad_rows(values, block_size).reshape(len(values), -1, block_size)
    return Blocks(packed=_pack((blocks - LOWEST).astype(np.uint8)), scales=scales, zero_points=np.empty(0, np.uint8))


def block_scales(weight: NDArray[np.float32], block_size: int) -> NDArray[np.float32]:
    """Return the scale of each block of columns, [N, blocks], as MatMulNBits stores it, a value of float16: the block's
    value of largest magnitude maps to -8."""
    rows = _pad_rows(weight.T, block_size).reshape(weight.shape[1], -1, block_size)
    furthest = np.take_along_axis(rows, np.abs(rows).argmax(axis=2, keepdims=True), axis=2)[..., 0]
    scales: NDArray[np.float32] = (furthest / np.float32(LOWEST)).astype(np.float16).astype(np.float32)
    scales[scales == 0] = 1
    return scales


def round_to_nearest(weight: NDArray[np.float32], block_size: int, hessian: Hessian = None) -> Blocks:
    """Symmetric; each block's value of largest magnitude maps to -8, the most accurate symmetric method."""
    from onnxruntime.quantization.matmul_nbits_quantizer import (
        DefaultWeightOnlyQuantConfig,
        DefaultWeightOnlyQuantizer,
    )

    config = DefaultWeightOnlyQuantConfig(block_size=block_size, is_symmetric=True, bits=4)
    quantizer = DefaultWeightOnlyQuantizer(config)
    packed, scales, _ = quantizer.qbits_block_quant(np.ascontiguousarray(weight))
    return Blocks(packed=packed, scales=scales, zero_points=np.empty(0, np.uint8))


def k_quant(weight: NDArray[np.float32], block_size: int, hessian: Hessian = None) -> Blocks:
    """Asymmetric; scale and minimum are searched to reduce a weighted error, as in llama.cpp's k-quants."""
    from onnxruntime.quantization.neural_compressor.weight_only import quant_tensor_k_quant_cpu

    rows = _pad_rows(weight.T, block_size)
    # The function divides by zero for a constant block, but its values are still correct.
    with np.errstate(divide="ignore", invalid="ignore"):
        values, scales, zero_points = quant_tensor_k_quant_cpu(rows, 4, block_size)
    shape = len(rows), -1
    return Blocks(
        packed=_pack(values.astype(np.uint8).reshape(len(rows), -1, block_size)),
        scales=scales.reshape(shape).astype(np.float32),
        zero_points=_pack(zero_points.reshape(shape)),
    )


def hqq(weight: NDArray[np.float32], block_size: int, hessian: Hessian = None) -> Blocks:
    """Half-quadratic quantization (Badri and Shaji 2023): asymmetric, float zero points. Needs torch."""
    import torch
    from onnxruntime.quantization.matmul_nbits_quantizer import (
        HQQWeightOnlyQuantConfig,
        HQQWeightOnlyQuantizer,
    )

    quantizer = HQQWeightOnlyQuantizer(HQQWeightOnlyQuantConfig(block_size=block_size, bits=4))
    tensor = torch.from_numpy(np.ascontiguousarray(weight.T))
    values, scales, zero_points = quantizer.quantize_internal(tensor, bits=4, group_size=block_size)
    return Blocks(
        packed=_pack(values.numpy().astype(np.uint8).reshape(len(tensor), -1, block_size)),
        scales=scales.numpy(),
        zero_points=zero_points.numpy(),
    )


EIGHT_BITS = Method(quantize=eight_bits, zero_points=None, bits=8)
METHODS = {
    "gptq": Method(quantize=gptq, zero_points=None),
    "rtn": Method(quantize=round_to_nearest, zero_points=None),
    "k-quant": Method(quantize=k_quant, zero_points="uint8"),
    "hqq": Method(quantize=hqq, zero_points="float"),
}


def _pad_rows(rows: NDArray[Any], block_size: int) -> NDArray[Any]:
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % block_size)))


def _pack(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pack 4-bit values two to a byte along the last axis, low half first."""
    even = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, values.shape[-1] % 2)])
    packed: NDArray[np.uint8] = even[..., 0::2] | (even[..., 1::2] << np.uint8(4))
    return packed
