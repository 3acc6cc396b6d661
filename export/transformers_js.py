"""config.json as the checkpoint has it, plus what Transformers.js needs to find and load the graphs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Transformers.js's names of our variants.
DTYPES = {"fp32": "fp32", "fp16": "fp16", "int8": "q8", "q4": "q4", "q4f16": "q4f16"}


def write_config(config: Mapping[str, Any], variants: Sequence[str], folder: Path) -> None:
    """Write config.json. Without a dtype there, Transformers.js would look for a float32 graph."""
    settings = {
        "dtype": DTYPES[variants[0]],
        "use_external_data_format": True,
        # Read by releases before 4.2 only; later ones ask the graph.
        "kv_cache_dtype": {"fp16": "float16", "q4f16": "float16"},
    }
    text = json.dumps({**config, "transformers.js_config": settings}, indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
