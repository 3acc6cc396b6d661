"""Refuses folders that hold a model in another form than a checkpoint of transformers, and says what to do."""

import json
from pathlib import Path

from onnxrank.errors import UnsupportedError

ADAPTER = "adapter_config.json"


def refuse_other_formats(folder: Path) -> None:
    """Raise UnsupportedError for a PEFT adapter, and for GGUF files without safetensors."""
    if (folder / ADAPTER).is_file():
        raise UnsupportedError(
            f"{folder} holds an adapter (LoRA) for {_base(folder / ADAPTER)}, not a whole model; merge it first: load "
            "that model, then `PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(folder)`, "
            "and save the tokenizer to the same folder."
        )
    found = sorted(folder.glob("*.gguf"))
    if found and not any(folder.glob("*.safetensors")):
        refuse_gguf(str(found[0]))


def refuse_gguf(source: str) -> None:
    """Raise UnsupportedError."""
    raise UnsupportedError(
        f"{source} is GGUF, a format of llama.cpp whose weights are usually quantized already; export the original "
        "checkpoint, which its page names, in safetensors."
    )


def _base(path: Path) -> str:
    try:
        named = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError):
        named = None
    return str(named or "a model that its adapter_config.json does not name")
