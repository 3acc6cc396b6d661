"""Writes the checkpoint's config.json plus the fields that Transformers.js needs to find and load the graphs."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from onnxrank.artifact.manifest import Variant
from onnxrank.artifact.variants import PRECISIONS, PREFERRED, preferred

# Fields in which checkpoints with their own head keep the configuration of the body.
BODIES = ("backbone_config", "backbone", "text_config")


def write_config(config: Mapping[str, Any], variants: Mapping[str, Variant], folder: Path) -> None:
    """Write config.json. It names a dtype, because Transformers.js would otherwise load one that may not exist."""
    settings = {
        "dtype": PRECISIONS[next(iter(variants))].dtype,
        "device_config": {device: {"dtype": PRECISIONS[preferred(device, variants)].dtype} for device in PREFERRED},
        "use_external_data_format": {
            PurePosixPath(variant.padded).name: sum(file.startswith(f"{variant.padded}_data") for file in variant.files)
            for variant in variants.values()
        },
        # Only releases before 4.2 read it; later ones read the graph's inputs.
        "kv_cache_dtype": {precision.dtype: "float16" for precision in PRECISIONS.values() if precision.float16},
    }
    content = {**_body(config), "transformers.js_config": settings}
    (folder / "config.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _body(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with the body's fields at the top level, where AutoModel looks for `model_type`."""
    body: dict[str, Any] = next((config[name] for name in BODIES if isinstance(config.get(name), dict)), {})
    kept = {"model_type": body["model_type"]} if "model_type" in body else {}
    return {**body, **config, **kept}
