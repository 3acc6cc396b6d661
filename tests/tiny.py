"""Tiny random checkpoints with the demo's tokenizer, and PyTorch's scores of them."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModelForCausalLM

DEMO = Path(__file__).parent.parent / "export" / "demo"
VOCABULARY = json.loads((DEMO / "config.json").read_text())["vocab_size"]

# Each differs from the first as its name says.
CONFIGS: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied with bias, one kv head": {
        "tie_word_embeddings": False,
        "attention_bias": True,
        "num_key_value_heads": 1,
    },
    "head_dim 16, no sharing": {"head_dim": 16, "num_key_value_heads": 4},
    "linear rope": {"rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "yarn rope": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}},
    "qwen2": {"model_type": "qwen2"},
    "llama": {"model_type": "llama"},
    "llama, untied with biases, llama3 rope": {
        "model_type": "llama",
        "tie_word_embeddings": False,
        "attention_bias": True,
        "mlp_bias": True,
        "rope_theta": 1e4,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 128,
        },
    },
    "llama, linear rope, no sharing, no head_dim": {
        "model_type": "llama",
        "head_dim": None,
        "num_key_value_heads": 4,
        "rope_scaling": {"rope_type": "linear", "factor": 2.0},
    },
    "llama, yarn rope": {
        "model_type": "llama",
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128},
    },
}


def write_tiny(folder: Path, *, model_type: str = "qwen3", **changes: Any) -> Path:
    """Write a three-layer decoder with random weights to `folder` and return it."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "intermediate_size": 96,
        "tie_word_embeddings": True,
        "max_position_embeddings": 16384,
        "rope_theta": 1e6,
        "initializer_range": 0.1,
    }
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **{**settings, **changes}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                parameter.normal_()
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(DEMO / name, folder / name)
    return folder


def torch_logits(folder: Path, sequences: Sequence[Sequence[int]], yes: int, no: int) -> NDArray[np.float32]:
    """Return logit(yes) - logit(no) at the last position of each sequence, scored one by one."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        rows = [model(torch.tensor([list(ids)])).logits[0, -1] for ids in sequences]
    return np.array([float(row[yes] - row[no]) for row in rows], np.float32)
