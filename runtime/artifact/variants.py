"""The variants an artifact can hold: what their numbers are, and which of them suits which device."""

from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """The numbers of one variant.

    suffix: of its graph files. dtype: Transformers.js's name for it. weight_bits: of the matrices. float16: whether
    it computes in float16, which not every device does. byte_products: whether it multiplies bytes, for which WebGPU
    has no kernel. prefix_graph: whether decoders get a prefix graph, which CPUs run.
    """

    suffix: str
    dtype: str
    weight_bits: int
    float16: bool
    byte_products: bool
    prefix_graph: bool
    purpose: str

    @property
    def requantized(self) -> bool:
        """Whether the prefix graph multiplies bytes that are computed from smaller weights as it is loaded."""
        return self.prefix_graph and self.weight_bits < 8


PRECISIONS = {
    "fp32": Precision(
        suffix="",
        dtype="fp32",
        weight_bits=32,
        float16=False,
        byte_products=False,
        prefix_graph=True,
        purpose="the reference; four bytes a weight",
    ),
    "fp16": Precision(
        suffix="_fp16",
        dtype="fp16",
        weight_bits=16,
        float16=True,
        byte_products=False,
        prefix_graph=False,
        purpose="GPUs",
    ),
    "int8": Precision(
        suffix="_quantized",
        dtype="q8",
        weight_bits=8,
        float16=False,
        byte_products=True,
        prefix_graph=True,
        purpose="fastest on CPUs; one scale a token",
    ),
    "q4": Precision(
        suffix="_q4",
        dtype="q4",
        weight_bits=4,
        float16=False,
        byte_products=False,
        prefix_graph=True,
        purpose="smallest; CPUs and browsers",
    ),
    "q4f16": Precision(
        suffix="_q4f16",
        dtype="q4f16",
        weight_bits=4,
        float16=True,
        byte_products=False,
        prefix_graph=False,
        purpose="browsers and GPUs with float16",
    ),
}

# Best first, by the names that Transformers.js has for devices. Processors have few kernels for float16.
PREFERRED = {
    "webgpu": ("q4f16", "q4", "fp16", "fp32", "int8"),
    "wasm": ("int8", "q4", "fp32", "q4f16", "fp16"),
    "cpu": ("int8", "q4", "fp32", "q4f16", "fp16"),
}


def preferred(device: str, variants: Container[str]) -> str:
    """Return the best of an artifact's variants for a device of which nothing else is known.

    Not every WebGPU adapter computes in float16, so another variant goes first where the device has kernels for one.
    """
    present = [name for name in PREFERRED[device] if name in variants]
    return next((name for name in present if _runs_anywhere(device, PRECISIONS[name])), present[0])


def _runs_anywhere(device: str, precision: Precision) -> bool:
    return device != "webgpu" or not (precision.float16 or precision.byte_products)
