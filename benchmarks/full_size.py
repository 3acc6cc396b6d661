"""Writes a checkpoint with Qwen3-Reranker-0.6B's exact dimensions, the real tokenizer and random weights.

Speed, memory and size do not depend on the values of the weights; the scores are meaningless.
"""

import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

# The tokenizer of every Qwen3 model; `make` fetches it.
TOKENIZER = Path("build/qwen3-tokenizer/tokenizer.json")
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "vocab_size": 151936,
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_act": "silu",
    "max_position_embeddings": 40960,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "torch_dtype": "bfloat16",
    "bos_token_id": 151643,
    "eos_token_id": 151645,
}
# Standard deviations. Attention, which carries the texts to the last position, adds about as much to the residual
# stream as the embeddings; the MLPs add little. With equal deviations, random layers would amplify rounding errors, and
# no quantized variant would rank like the original.
SCALES = {"embed_tokens": 0.2, "down_proj": 0.0005}
SCALE = 0.02


def write_checkpoint(folder: Path, seed: int = 0) -> None:
    """Write the checkpoint (1.2 GB) unless it exists."""
    if (folder / "model.safetensors").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    save_file({name: _random(rng, name, shape) for name, shape in _shapes().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=1))
    shutil.copyfile(TOKENIZER, folder / "tokenizer.json")
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<|endoftext|>",
        "eos_token": "<|im_end|>",
        "padding_side": "left",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=1))


def _shapes() -> dict[str, tuple[int, ...]]:
    hidden, intermediate, head = 1024, 3072, 128
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (151936, hidden),
        "model.norm.weight": (hidden,),
    }
    for i in range(28):
        layer = f"model.layers.{i}"
        shapes |= {
            f"{layer}.self_attn.q_proj.weight": (16 * head, hidden),
            f"{layer}.self_attn.k_proj.weight": (8 * head, hidden),
            f"{layer}.self_attn.v_proj.weight": (8 * head, hidden),
            f"{layer}.self_attn.o_proj.weight": (hidden, 16 * head),
            f"{layer}.self_attn.q_norm.weight": (head,),
            f"{layer}.self_attn.k_norm.weight": (head,),
            f"{layer}.mlp.gate_proj.weight": (intermediate, hidden),
            f"{layer}.mlp.up_proj.weight": (intermediate, hidden),
            f"{layer}.mlp.down_proj.weight": (hidden, intermediate),
            f"{layer}.input_layernorm.weight": (hidden,),
            f"{layer}.post_attention_layernorm.weight": (hidden,),
        }
    return shapes


def _random(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    if len(shape) == 1:
        return rng.uniform(0.5, 1.5, shape).astype(ml_dtypes.bfloat16)
    scale = next((scale for part, scale in SCALES.items() if part in name), SCALE)
    return (rng.standard_normal(shape, np.float32) * np.float32(scale)).astype(ml_dtypes.bfloat16)
