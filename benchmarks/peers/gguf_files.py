"""Writes the Qwen3 checkpoint as GGUF in bfloat16 and lets llama.cpp quantize it, as its own tools do.

`python -m benchmarks.peers.gguf_files build/qwen3-full-size build/peers/llama-cpp/models`
"""

import ctypes
import json
import sys
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

# llama.h: enum llama_ftype.
TYPES = {"q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0}


def main(checkpoint: Path, out: Path) -> None:
    """Write one file per type unless it exists."""
    out.mkdir(parents=True, exist_ok=True)
    whole = out / "bf16.gguf"
    for name, kind in TYPES.items():
        target = out / f"{name}.gguf"
        if target.exists():
            continue
        if not whole.exists():
            write_bf16(checkpoint, whole)
        params = llama_cpp.llama_model_quantize_default_params()
        params.ftype = kind
        partial = target.with_suffix(".partial")
        if llama_cpp.llama_model_quantize(bytes(whole), bytes(partial), ctypes.byref(params)):
            sys.exit(f"llama.cpp could not quantize {whole} to {name}")
        partial.rename(target)
    whole.unlink(missing_ok=True)


def write_bf16(checkpoint: Path, path: Path) -> None:
    """Write the whole model without a tokenizer, because peers get token ids."""
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(llama_cpp.LLAMA_FTYPE_MOSTLY_BF16)
    writer.add_tokenizer_model("no_vocab")
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, config["num_hidden_layers"])
    weights = checkpoint / "model.safetensors"
    with weights.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
    header.pop("__metadata__", None)
    for name, tensor in header.items():
        start, end = tensor["data_offsets"]
        assert tensor["dtype"] == "BF16"
        words = np.memmap(weights, np.uint16, "r", 8 + header_bytes + start, ((end - start) // 2,))
        target = names.get_name(name, try_suffixes=(".weight",))
        if len(tensor["shape"]) == 1:
            # llama.cpp needs norms in float32, whose upper half is the bfloat16 value.
            writer.add_tensor(target, (words.astype(np.uint32) << 16).view(np.float32))
        else:
            data = words.reshape(tensor["shape"]).view(np.uint8)
            writer.add_tensor(target, data, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
