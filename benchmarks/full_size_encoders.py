"""Writes encoder checkpoints with the exact dimensions of published models, and random weights.

Speed, memory and size do not depend on the values of the weights; the scores are meaningless.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxrank.errors import CheckpointError
from tests import tiny_tokenizers

# mmBERT's tokenizer is Gemma 2's.
GEMMA = Path("build/gemma2-tokenizer/tokenizer.json")
EXITS, DIMS = (3, 6, 11, 22), (768, 512, 256, 128, 64)

MODERNBERT: dict[str, Any] = {
    "architectures": ["ModernBertModel"],
    "model_type": "modernbert",
    "hidden_activation": "gelu",
    "norm_eps": 1e-5,
    "norm_bias": False,
    "attention_bias": False,
    "mlp_bias": False,
    "local_attention": 128,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "local_rope_theta": 160000.0,
    "torch_dtype": "float32",
}
MMBERT = {
    **MODERNBERT,
    "vocab_size": 256000,
    "hidden_size": 768,
    "intermediate_size": 1152,
    "num_hidden_layers": 22,
    "num_attention_heads": 12,
    "max_position_embeddings": 32768,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
    "cls_token_id": 2,
    "sep_token_id": 1,
}
# The published dimensions lack the intermediate size, so it is that of the encoder from which the model was made.
COLBERT = {
    **MODERNBERT,
    "vocab_size": 50370,
    "hidden_size": 384,
    "intermediate_size": 576,
    "num_hidden_layers": 10,
    "num_attention_heads": 6,
    "max_position_embeddings": 7999,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "cls_token_id": 2,
    "sep_token_id": 3,
    "transformers_version": "4.57.6",
}
PROJECTIONS = ((384, 768, False), (768, 768, True), (768, 128, False))  # inputs, outputs, residual
COLBERT_SETTINGS = {
    "model_type": "ColBERT",
    "query_prefix": "[Q] ",
    "document_prefix": "[D] ",
    "query_length": 48,
    "document_length": 512,
    "do_query_expansion": True,
    "attend_to_expansion_tokens": False,
    "similarity_fn_name": "MaxSim",
}
XLM_ROBERTA = {
    "architectures": ["XLMRobertaForSequenceClassification"],
    "model_type": "xlm-roberta",
    "vocab_size": 250002,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
    "max_position_embeddings": 8194,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "id2label": {"0": "LABEL_0"},
    "label2id": {"LABEL_0": 0},
    "torch_dtype": "float32",
}
# Standard deviation of a matrix's outputs for inputs with deviation 1, by a part of the matrix's name (first match).
# Attention distinguishes tokens and the feed-forward layers add little, so that scores depend on the texts and layers
# do not amplify rounding errors.
GAINS = {
    "attn.": 1.5,
    "attention.": 1.5,
    "mlp.Wo": 0.2,
    "output.dense": 0.2,
}
CHUNK = 1 << 22

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FullSize:
    """A published model with random weights: its family, its checkpoint's folder, and the function that writes it."""

    family: str
    folder: Path
    write: Callable[[Path], None]


def checkpoint(name: str) -> FullSize:
    """Return the model of MODELS called `name`, after writing its checkpoint unless it exists."""
    model = MODELS[name]
    if not (model.folder / "model.safetensors").exists():
        model.folder.mkdir(parents=True, exist_ok=True)
        model.write(model.folder)
    return model


def mmbert(folder: Path) -> None:
    """mmbert-rerank-32k-2d-matryoshka: mmBERT-base with 20 heads (1.2 GB)."""
    _gemma_tokenizer(folder)
    heads: Shapes = {}
    for name, dim in ((f"{layer}.{dim}", dim) for layer in EXITS for dim in DIMS):
        heads |= {f"{name}.0.weight": (dim // 2, dim), f"{name}.0.bias": (dim // 2,)}
        heads |= {f"{name}.3.weight": (1, dim // 2), f"{name}.3.bias": (1,)}
    write_weights(folder / "classification_heads.safetensors", heads, seed=1)
    _write_model(folder, MMBERT, modernbert_shapes(MMBERT))


def xlm_roberta(folder: Path) -> None:
    """bge-reranker-v2-m3: XLM-RoBERTa large (2.3 GB)."""
    tiny_tokenizers.save(tiny_tokenizers.unigram(), folder, max_length=8192)
    _write_model(folder, XLM_ROBERTA, xlm_roberta_shapes(XLM_ROBERTA))


def colbert(folder: Path) -> None:
    """Reason-mxbai-colbert-v0.1-32m: a small ModernBERT and three projections (0.1 GB)."""
    tiny_tokenizers.save(tiny_tokenizers.byte_level(prefixes=["[Q] ", "[D] "]), folder, max_length=7999)
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for i, (inputs, outputs, residual) in enumerate(PROJECTIONS, 1):
        own = folder / f"{i}_Dense"
        own.mkdir(exist_ok=True)
        modules.append({"idx": i, "name": str(i), "path": own.name, "type": "pylate.models.Dense.Dense"})
        settings = {
            "in_features": inputs,
            "out_features": outputs,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
            "use_residual": residual,
        }
        _write_json(own / "config.json", settings)
        write_weights(own / "model.safetensors", {"linear.weight": (outputs, inputs)}, seed=i)
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": 511, "do_lower_case": False})
    _write_json(folder / "config_sentence_transformers.json", COLBERT_SETTINGS)
    _write_model(folder, COLBERT, modernbert_shapes(COLBERT))


MODELS = {
    "mmbert": FullSize(family="mmbert-rerank", folder=Path("build/mmbert-full-size"), write=mmbert),
    "xlm-roberta": FullSize(family="cross-encoder", folder=Path("build/xlm-roberta-full-size"), write=xlm_roberta),
    "colbert": FullSize(family="colbert", folder=Path("build/colbert-full-size"), write=colbert),
}


def modernbert_shapes(config: Mapping[str, Any]) -> Shapes:
    hidden, intermediate = config["hidden_size"], config["intermediate_size"]
    shapes: Shapes = {
        "embeddings.tok_embeddings.weight": (config["vocab_size"], hidden),
        "embeddings.norm.weight": (hidden,),
        "final_norm.weight": (hidden,),
    }
    for i in range(config["num_hidden_layers"]):
        layer = f"layers.{i}"
        shapes |= {f"{layer}.attn_norm.weight": (hidden,)} if i else {}
        shapes |= {
            f"{layer}.attn.Wqkv.weight": (3 * hidden, hidden),
            f"{layer}.attn.Wo.weight": (hidden, hidden),
            f"{layer}.mlp_norm.weight": (hidden,),
            f"{layer}.mlp.Wi.weight": (2 * intermediate, hidden),
            f"{layer}.mlp.Wo.weight": (hidden, intermediate),
        }
    return shapes


def xlm_roberta_shapes(config: Mapping[str, Any]) -> Shapes:
    hidden, intermediate = config["hidden_size"], config["intermediate_size"]
    linear = {"classifier.dense": (hidden, hidden), "classifier.out_proj": (1, hidden)}
    norms = ["roberta.embeddings.LayerNorm"]
    for i in range(config["num_hidden_layers"]):
        layer = f"roberta.encoder.layer.{i}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear[f"{layer}.attention.{part}"] = (hidden, hidden)
        linear[f"{layer}.intermediate.dense"] = (intermediate, hidden)
        linear[f"{layer}.output.dense"] = (hidden, intermediate)
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    shapes: Shapes = {
        "roberta.embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        "roberta.embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
        "roberta.embeddings.token_type_embeddings.weight": (config["type_vocab_size"], hidden),
    }
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
    return shapes


def write_weights(path: Path, shapes: Shapes, *, seed: int) -> None:
    """Write random float32 tensors in safetensors, a chunk at a time, because peak memory is measured too."""
    rng = np.random.default_rng(seed)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            count = math.prod(shape)
            for start in range(0, count, CHUNK):
                size = min(CHUNK, count - start)
                if "norm" in name.lower() and name.endswith("weight"):
                    values = rng.uniform(0.5, 1.5, size).astype(np.float32)
                else:
                    values = rng.standard_normal(size, np.float32) * np.float32(deviation(name, shape))
                file.write(values.tobytes())
    partial.rename(path)


def deviation(name: str, shape: tuple[int, ...]) -> float:
    """Return the standard deviation of a tensor's values."""
    if len(shape) == 1:
        return 0.05
    if "embeddings" in name:
        return 1.0
    gain = next((gain for part, gain in GAINS.items() if part in name), 1.0)
    return gain / math.sqrt(shape[1])


def _gemma_tokenizer(folder: Path) -> None:
    """Gemma 2's tokenizer with mmBERT's template, <bos> query <eos> document <eos>."""
    if not GEMMA.is_file():
        raise CheckpointError(f"{GEMMA} is missing; fetch it with `python tests/fetch_tokenizer.py {GEMMA}`.")
    tokenizer = json.loads(GEMMA.read_text(encoding="utf-8"))
    begin, end = ({"SpecialToken": {"id": token, "type_id": 0}} for token in ("<bos>", "<eos>"))
    first, second = ({"Sequence": {"id": side, "type_id": 0}} for side in "AB")
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, first, end],
        "pair": [begin, first, end, second, end],
        "special_tokens": {
            token: {"id": token, "ids": [id_], "tokens": [token]} for token, id_ in (("<bos>", 2), ("<eos>", 1))
        },
    }
    _write_json(folder / "tokenizer.json", tokenizer)
    tokens = {f"{kind}_token": f"<{kind}>" for kind in ("pad", "bos", "eos", "mask")}
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 8192, **tokens},
    )


def _write_model(folder: Path, config: Mapping[str, Any], shapes: Shapes) -> None:
    # The weights come last, so that a checkpoint with weights is complete.
    _write_json(folder / "config.json", config)
    write_weights(folder / "model.safetensors", shapes, seed=0)


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
