"""config.json as the checkpoint has it, plus what Transformers.js needs to find and load the graphs."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from onnxrank.artifact.manifest import Variant
from onnxrank.artifact.variants import PRECISIONS, PREFERRED, preferred

# Where a checkpoint with a head of its own keeps the configuration of its body.
BODIES = ("backbone_config", "backbone", "text_config")


def write_config(config: Mapping[str, Any], variants: Mapping[str, Variant], folder: Path) -> None:
    """Write config.json. Without a dtype there, Transformers.js would look for a graph that may not be there."""
    settings = {
        "dtype": PRECISIONS[next(iter(variants))].dtype,
        "device_config": {device: {"dtype": PRECISIONS[preferred(device, variants)].dtype} for device in PREFERRED},
        "use_external_data_format": {
            PurePosixPath(variant.padded).name: sum(not file.endswith(".onnx") for file in variant.files)
            for variant in variants.values()
        },
        # Read by releases before 4.2 only; later ones ask the graph.
        "kv_cache_dtype": {precision.dtype: "float16" for precision in PRECISIONS.values() if precision.float16},
    }
    content = {**_body(config), "transformers.js_config": settings}
    (folder / "config.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _body(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with that of its body at the top, where AutoModel looks for `model_type`."""
    body: dict[str, Any] = next((config[name] for name in BODIES if isinstance(config.get(name), dict)), {})
    kept = {"model_type": body["model_type"]} if "model_type" in body else {}
    return {**body, **config, **kept}
