"""Rotary position embedding frequencies: types default, linear, yarn and llama3.

Source of the formulas: transformers' modeling_rope_utils; YaRN is Peng et al. 2023 (arXiv 2309.00071).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.errors import CheckpointError, UnsupportedError
from onnxrank.export.checkpoint.field_types import is_number
from onnxrank.export.graph.builder import GraphBuilder

_KNOWN = {
    "default": set[str](),
    "linear": {"factor"},
    "yarn": {
        "factor",
        "original_max_position_embeddings",
        "attention_factor",
        "beta_fast",
        "beta_slow",
        "mscale",
        "mscale_all_dim",
        "truncate",
    },
    "llama3": {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rope:
    """frequencies: float32 [head_dim / 2], radians per position. scale: the factor of cos and sin."""

    frequencies: NDArray[np.float32]
    scale: float


def rope_of(config: Mapping[str, Any], head_dim: int) -> Rope:
    """Return the rotary embedding that config.json describes, in transformers' 4.x or 5.x spelling.

    Raises UnsupportedError for a type or parameter that is not implemented, CheckpointError for one that is missing.
    """
    parameters = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    theta = parameters.pop("rope_theta", None) or config.get("rope_theta", 10_000.0)
    kind = parameters.pop("rope_type", None) or parameters.pop("type", "default")
    parameters.pop("type", None)
    if not isinstance(kind, str) or kind not in _KNOWN:
        raise UnsupportedError(
            f"config.json asks for RoPE type {kind!r:.60}, and {', '.join(_KNOWN)} are supported; "
            "such a checkpoint cannot be exported yet."
        )
    given = {key: value for key, value in parameters.items() if value is not None}
    wrong = [key for key, value in given.items() if key != "truncate" and not (is_number(value) and value > 0)]
    if wrong or not (is_number(theta) and theta > 1):
        name, value = (wrong[0], given[wrong[0]]) if wrong else ("rope_theta", theta)
        raise CheckpointError(
            f"config.json sets the RoPE parameter {name!r:.60} to {value!r:.60}, which is no number that it can be; "
            "download the checkpoint again."
        )
    if unknown := sorted(set(given) - _KNOWN[kind]):
        raise UnsupportedError(
            f"config.json sets the RoPE parameter {unknown[0]!r:.60}, which {kind!r} does not handle here; "
            "such a checkpoint cannot be exported yet."
        )
    periods = (np.float32(theta) ** (np.arange(0, head_dim, 2, dtype=np.float32) / head_dim)).astype(np.float32)
    if kind == "yarn":
        return _yarn(periods, float(theta), head_dim, given, int(config["max_position_embeddings"]))
    if kind == "llama3":
        return _llama3(periods, given)
    return Rope(frequencies=(1 / periods / np.float32(given.get("factor", 1.0))).astype(np.float32), scale=1.0)


def _yarn(
    periods: NDArray[np.float32], theta: float, head_dim: int, given: Mapping[str, Any], max_positions: int
) -> Rope:
    trained = given.get("original_max_position_embeddings", max_positions)
    factor = float(given.get("factor") or max_positions / trained)

    def dimension(rotations: float) -> float:
        return head_dim * math.log(trained / (rotations * 2 * math.pi)) / (2 * math.log(theta))

    low, high = dimension(given.get("beta_fast", 32)), dimension(given.get("beta_slow", 1))
    if given.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    # The reference avoids a division by zero in the same way.
    width = high - low or 0.001
    ramp = np.clip((np.arange(head_dim // 2, dtype=np.float32) - low) / width, 0, 1).astype(np.float32)
    frequencies = (1 / (factor * periods)) * ramp + (1 / periods) * (1 - ramp)
    return Rope(frequencies=frequencies.astype(np.float32), scale=_attention_scale(factor, given))


def _llama3(periods: NDArray[np.float32], given: Mapping[str, Any]) -> Rope:
    """Keep frequencies that turn often within the trained length; divide slow ones by the factor."""
    if missing := sorted(_KNOWN["llama3"] - set(given)):
        raise CheckpointError(
            f"config.json asks for RoPE type 'llama3' and does not set {missing[0]!r}; download the checkpoint again."
        )
    factor, low, high, trained = (
        float(given[name])
        for name in ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    if not low < high:
        raise CheckpointError(
            f"config.json sets low_freq_factor to {low} and high_freq_factor to {high}, which has to be more; "
            "download the checkpoint again."
        )
    turns = trained / (2 * math.pi * periods)
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return Rope(frequencies=((kept + (1 - kept) / factor) / periods).astype(np.float32), scale=1.0)


def _attention_scale(factor: float, given: Mapping[str, Any]) -> float:
    if given.get("attention_factor") is not None:
        return float(given["attention_factor"])

    def scale(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    if given.get("mscale") and given.get("mscale_all_dim"):
        return scale(given["mscale"]) / scale(given["mscale_all_dim"])
    return scale(1.0)


def rotary_tables(b: GraphBuilder, rope: Rope, max_length: int, name: str = "") -> tuple[ir.Value, ir.Value]:
    """Return cos and sin of every angle, [max_length, head_dim / 2]; they are constants, which the session folds."""
    positions = b.op("Range", b.constant(0, "zero"), b.constant(max_length, "max_length"), b.constant(1, "one"))
    column = b.op("Unsqueeze", b.op("Cast", positions, to=ir.DataType.FLOAT), b.constant([1], "axis_1"))
    angles = b.op("Mul", column, b.constant(rope.frequencies[None], f"{name}rotary_frequencies"))
    scale = b.constant(float(rope.scale), f"{name}rotary_scale")
    cos = b.op("Mul", b.op("Cos", angles), scale, name=f"{name}cos_cache")
    return cos, b.op("Mul", b.op("Sin", angles), scale, name=f"{name}sin_cache")
