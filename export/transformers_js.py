"""config.json as the checkpoint has it, plus what Transformers.js needs to find and load the graphs."""

import json
from collections.abc import Container, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from onnxrank.manifest import Variant

# Transformers.js's names of our variants.
DTYPES = {"fp32": "fp32", "fp16": "fp16", "int8": "q8", "q4": "q4", "q4f16": "q4f16"}
# Best first, by Transformers.js's names of devices. WebGPU has no kernel for int8 products, and not every GPU float16;
# processors have few kernels for float16.
PREFERRED = {
    "wasm": ("int8", "q4", "fp32", "q4f16", "fp16"),
    "cpu": ("int8", "q4", "fp32", "q4f16", "fp16"),
    "webgpu": ("q4", "q4f16", "fp32", "fp16", "int8"),
}
# Where a checkpoint with a head of its own keeps the configuration of its body.
BODIES = ("backbone_config", "backbone", "text_config")


def write_config(config: Mapping[str, Any], variants: Mapping[str, Variant], folder: Path) -> None:
    """Write config.json. Without a dtype there, Transformers.js would look for a graph that may not be there."""
    settings = {
        "dtype": DTYPES[next(iter(variants))],
        "device_config": {device: {"dtype": _dtype(names, variants)} for device, names in PREFERRED.items()},
        "use_external_data_format": {
            PurePosixPath(variant.portable).name: sum(not file.endswith(".onnx") for file in variant.files)
            for variant in variants.values()
        },
        # Read by releases before 4.2 only; later ones ask the graph.
        "kv_cache_dtype": {"fp16": "float16", "q4f16": "float16"},
    }
    told = {**_body(config), "transformers.js_config": settings}
    (folder / "config.json").write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _dtype(names: Sequence[str], variants: Container[str]) -> str:
    return DTYPES[next(name for name in names if name in variants)]


def _body(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with that of its body at the top, where AutoModel looks for `model_type`."""
    body: dict[str, Any] = next((config[name] for name in BODIES if isinstance(config.get(name), dict)), {})
    kept = {"model_type": body["model_type"]} if "model_type" in body else {}
    return {**body, **config, **kept}
