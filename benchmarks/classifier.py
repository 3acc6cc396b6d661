"""The full-size checkpoint as a classifier with one logit, yes minus no: the form that most libraries load."""

import json
import os
import shutil
from pathlib import Path

import ml_dtypes  # noqa: F401  # registers bfloat16 with NumPy
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

YES, NO = 9693, 2152


def write_classifier(checkpoint: Path, folder: Path) -> None:
    """Write a sharded checkpoint; one shard is a link to the original weights."""
    folder.mkdir(parents=True, exist_ok=True)
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    (pad,) = (token["id"] for token in tokenizer["added_tokens"] if token["content"] == "<|endoftext|>")
    config |= {
        "architectures": ["Qwen3ForSequenceClassification"],
        "num_labels": 1,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "pad_token_id": pad,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(checkpoint / name, folder / name)
    with safe_open(checkpoint / "model.safetensors", "np") as file:
        shards = dict.fromkeys(file.keys(), "body.safetensors")
        rows = file.get_slice("model.embed_tokens.weight")
        difference = rows[YES : YES + 1].astype(np.float32) - rows[NO : NO + 1].astype(np.float32)
    shards["score.weight"] = "score.safetensors"
    save_file({"score.weight": difference}, folder / "score.safetensors", {"format": "pt"})
    body = folder / "body.safetensors"
    body.unlink(missing_ok=True)
    body.symlink_to(os.path.relpath((checkpoint / "model.safetensors").resolve(), folder.resolve()))
    index = {"metadata": {}, "weight_map": shards}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
