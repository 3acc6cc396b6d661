"""The variants that an artifact can have: their precision, and the devices they suit."""

from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """The precision of one variant.

    suffix: of its graph files. dtype: Transformers.js's name for it. weight_bits: bits per weight of a matrix. float16:
    whether it computes in float16, which not every device supports. byte_products: whether it multiplies int8
    matrices, for which WebGPU has no kernel. prefix_graph: whether decoders get a prefix graph, which runs on CPUs.
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
        """Whether the prefix graph multiplies int8 weights that are computed from 4-bit ones at load."""
        return self.prefix_graph and self.weight_bits < 8


PRECISIONS = {
    "fp32": Precision(
        suffix="",
        dtype="fp32",
        weight_bits=32,
        float16=False,
        byte_products=False,
        prefix_graph=True,
        purpose="the reference; four bytes per weight",
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
        purpose="fastest on CPUs; one activation scale per token",
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

# Best first, by Transformers.js's device names. CPUs have few float16 kernels, so float16 variants come last there.
PREFERRED = {
    "webgpu": ("q4f16", "q4", "fp16", "fp32", "int8"),
    "wasm": ("int8", "q4", "fp32", "q4f16", "fp16"),
    "cpu": ("int8", "q4", "fp32", "q4f16", "fp16"),
}
# The same for the GPUs of Python's execution providers.
PREFERRED_ON_GPUS = ("fp16", "fp32", "q4f16", "q4", "int8")


def default_variant(variants: Container[str], *, on_cpu: bool) -> str:
    """Return the variant that is opened if none is named: the best one for the device."""
    order = PREFERRED["cpu"] if on_cpu else PREFERRED_ON_GPUS
    return next(name for name in order if name in variants)


def preferred(device: str, variants: Container[str]) -> str:
    """Return the best of an artifact's variants for a device whose features are not known.

    Not every WebGPU adapter supports float16, so a variant that runs on all of them is preferred.
    """
    present = [name for name in PREFERRED[device] if name in variants]
    return next((name for name in present if _runs_anywhere(device, PRECISIONS[name])), present[0])


def _runs_anywhere(device: str, precision: Precision) -> bool:
    return device != "webgpu" or not (precision.float16 or precision.byte_products)
