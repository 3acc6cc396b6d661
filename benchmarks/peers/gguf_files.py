"""Writes a Llama or Qwen3 checkpoint as GGUF in its own precision and lets llama.cpp quantize it, as its own tools do.

`python -m benchmarks.peers.gguf_files build/qwen3-full-size build/peers/llama-cpp/models [TYPE...]`
"""

import ctypes
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np

# llama.h: enum llama_ftype.
TYPES = {
    "f16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
    "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "q4_k_m": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
}
DEFAULT = ("q8_0", "q4_0")
ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "qwen3": gguf.MODEL_ARCH.QWEN3}
# By safetensors' name: how numpy reads it, and the types of the file and of its matrices.
FLOATS = {
    "BF16": (np.uint16, llama_cpp.LLAMA_FTYPE_MOSTLY_BF16, gguf.GGMLQuantizationType.BF16),
    "F32": (np.float32, llama_cpp.LLAMA_FTYPE_ALL_F32, gguf.GGMLQuantizationType.F32),
}


def main(checkpoint: Path, out: Path, names: Sequence[str]) -> None:
    """Write one file per type unless it exists."""
    out.mkdir(parents=True, exist_ok=True)
    whole = out / "whole.gguf"
    # It writes a line per weight.
    quiet = llama_cpp.llama_log_callback(lambda *message: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    for name in names:
        target = out / f"{name}.gguf"
        if target.exists():
            continue
        if not whole.exists():
            write_whole(checkpoint, whole)
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype = TYPES[name]
        partial = target.with_suffix(".partial")
        if llama_cpp.llama_model_quantize(bytes(whole), bytes(partial), ctypes.byref(params)):
            sys.exit(f"llama.cpp could not quantize {whole} to {name}")
        partial.rename(target)
    whole.unlink(missing_ok=True)


def write_whole(checkpoint: Path, path: Path) -> None:
    """Write the whole model without a tokenizer, because peers get token ids."""
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    weights = checkpoint / "model.safetensors"
    with weights.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
    header.pop("__metadata__", None)
    (stored,) = {tensor["dtype"] for tensor in header.values()}
    words, file_type, matrix_type = FLOATS[stored]

    writer = gguf.GGUFWriter(path, config["model_type"])
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(file_type)
    writer.add_tokenizer_model("no_vocab")
    names = gguf.get_tensor_name_map(ARCHITECTURES[config["model_type"]], config["num_hidden_layers"])
    for name, tensor in header.items():
        start, end = tensor["data_offsets"]
        shape, items = tensor["shape"], (end - start) // np.dtype(words).itemsize
        data: Any = np.memmap(weights, words, "r", 8 + header_bytes + start, (items,)).reshape(shape)
        target = names.get_name(name, try_suffixes=(".weight",))
        if data.ndim == 1:
            # llama.cpp needs norms in float32, whose upper half is the bfloat16 value.
            writer.add_tensor(target, (data.astype(np.uint32) << 16).view(np.float32) if stored == "BF16" else data)
            continue
        if config["model_type"] == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            data = interleaved(data, heads if name.endswith("q_proj.weight") else kv_heads)
        writer.add_tensor(target, data.view(np.uint8), raw_dtype=matrix_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def interleaved(weight: Any, heads: int) -> Any:
    """Return a Llama's query or key projection with each head's rows in llama.cpp's order: rotary embeddings pair a row
    with its neighbour, and transformers pairs it with the one half a head further."""
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:] or DEFAULT)
