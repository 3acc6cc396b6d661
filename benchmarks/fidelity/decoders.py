"""SmolLM2-135M as a causal reranker's checkpoint, and in the shape of Qwen3."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from benchmarks.fidelity.packages import smollm2

INSTRUCTION = 'Judge whether the Document answers the Query. Answer only "yes" or "no".'
SYSTEM = f"<|im_start|>system\n{INSTRUCTION}<|im_end|>\n<|im_start|>user\n"
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n"
TEMPLATE = (
    "{{ "
    + json.dumps(SYSTEM)
    + ' }}{% for message in messages %}{% if message.role == "query" %}{{ "<Query>: " + message.content + "\\n" }}'
    '{% elif message.role == "document" %}{{ "<Document>: " + message.content }}{% endif %}{% endfor %}{{ '
    + json.dumps(SUFFIX)
    + " }}"
)
BLOCK = 32


def llama() -> tuple[LlamaForCausalLM, Any]:
    """Return the whole model, in float32, and its tokenizer.

    The package's weights lie on a grid of 16 values a block of 32, which 4-bit formats with minima would reproduce for
    nothing. Uniform noise within half a step takes them off it; training heals what that costs.
    """
    folder = smollm2()
    (file,) = folder.glob("*.gguf")
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file.name, dtype=torch.float32)
    # transformers keeps a note that the file was quantized, and then refuses to save the model.
    del model.config.quantization_config, model.hf_quantizer
    # The GGUF's title, which would be an unknown field of config.json.
    del model.config._model_name_or_path
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and "embed" not in name:
                blocks = weight.view(len(weight), -1, BLOCK)
                steps = (blocks.amax(2, keepdim=True) - blocks.amin(2, keepdim=True)) / 15
                blocks += steps * (torch.rand(blocks.shape, generator=generator) - 0.5)
    return model, AutoTokenizer.from_pretrained(folder, gguf_file=file.name)


def opened(folder: Path) -> tuple[LlamaForCausalLM, Any]:
    """Return a saved model, in float32, and its tokenizer."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), AutoTokenizer.from_pretrained(folder)


def qwen3(model: LlamaForCausalLM, samples: Tensor) -> Qwen3ForCausalLM:
    """Return a Llama as a Qwen3 model, whose query and key norms change as little as a norm can: a layer's gain is the
    root mean square that its heads have for `samples`, token ids [texts, tokens]."""
    config = model.config
    copy = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads,
            num_key_value_heads=config.num_key_value_heads,
            head_dim=config.head_dim,
            max_position_embeddings=config.max_position_embeddings,
            rms_norm_eps=config.rms_norm_eps,
            rope_theta=config.rope_parameters["rope_theta"],
            tie_word_embeddings=True,
            bos_token_id=config.bos_token_id,
            eos_token_id=config.eos_token_id,
            pad_token_id=config.pad_token_id,
        )
    )
    old = model.state_dict()
    new = {name: old.get(name, tensor) for name, tensor in copy.state_dict().items()}

    def keep(name: str, module: Any, inputs: Any, output: Tensor) -> None:
        new[name] = output.square().mean().sqrt().expand(config.head_dim)

    hooks = [
        module.register_forward_hook(partial(keep, name.replace("_proj", "_norm.weight")))
        for name, module in model.named_modules()
        if name.endswith(("q_proj", "k_proj"))
    ]
    with torch.no_grad():
        model.model(samples)
    for hook in hooks:
        hook.remove()
    copy.load_state_dict(new)
    return copy


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the checkpoint in sentence-transformers' form: the score is logit(Yes) - logit(No)."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    yes, no = answers(tokenizer.backend_tokenizer)
    kind = "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_LogitScore", "type": kind},
    ]
    (folder / "1_LogitScore").mkdir(exist_ok=True)
    for name, content in {
        "modules.json": modules,
        "1_LogitScore/config.json": {"true_token_id": yes, "false_token_id": no},
        "sentence_bert_config.json": {"max_seq_length": 2048},
    }.items():
        (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")


def answers(tokenizer: Tokenizer) -> tuple[int, int]:
    """Return the token ids of the two answers."""
    yes, no = tokenizer.token_to_id("Yes"), tokenizer.token_to_id("No")
    assert yes is not None and no is not None
    return yes, no


def prompt(tokenizer: Tokenizer, query: str, document: str, *, tokens: int) -> list[int]:
    """Return a pair's token ids; the document is cut from the right to `tokens` in all."""
    suffix = encode(tokenizer, SUFFIX)
    ids = encode(tokenizer, f"{SYSTEM}<Query>: {query}\n<Document>: {document}")
    return ids[: tokens - len(suffix)] + suffix


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids
