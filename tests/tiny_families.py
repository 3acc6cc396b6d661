"""A tiny random checkpoint of every family, in the layout its authors publish."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import processors

from onnxrank.export.families.mxbai_rerank import PREFIX, TASK
from onnxrank.export.options import FamilyOptions
from tests import tiny_tokenizers
from tests.tiny import VOCABULARY, write_tiny

CHAT = (
    "{% for message in messages %}<|im_start|>{{ {'query': 'system', 'document': 'user'}.get(message['role'], "
    "message['role']) }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MATRIX = {
    "arch": "MatrixV6Reranker",
    "pooling": "last_token",
    "max_len": 256,
    "activation": "identity",
    "input_format": {
        "pair_template": "Query: {query}\nCapability: {capability}",
        "capability": "{name}: {description}",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiny:
    """write: fills a folder. options: the options that the checkpoint needs at export."""

    family: str
    write: Callable[[Path], object]
    options: FamilyOptions = field(default_factory=lambda: FamilyOptions(max_length=600))


def shake(model: Any) -> Any:
    """Give every parameter a random value, because initial biases of 0 and norms of 1 would hide a missing one.

    Attention is made to choose among tokens, and the feed-forward layers to add little: then the score depends on the
    texts, and a quantized model ranks like the original.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.uniform_(0.5, 1.5)
            elif parameter.ndim == 1:
                parameter.normal_(std=0.05)
            elif "embed" in name:
                parameter.normal_()
            else:
                little = any(part in name for part in (".mlp.Wo", ".output.dense", "down_proj"))
                attends = "attention" in name or "attn" in name
                parameter.normal_(std=(0.2 if little and not attends else 1.5) * parameter.shape[1] ** -0.5)
    return model


def modernbert_config(vocabulary: int, **changes: Any) -> transformers.ModernBertConfig:
    settings: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "max_position_embeddings": 4096,
        "local_attention": 128,
        "global_attn_every_n_layers": 3,
        "pad_token_id": 0,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "reference_compile": False,
    }
    return transformers.ModernBertConfig(**{**settings, **changes})


def qwen3_reranker(folder: Path) -> None:
    write_tiny(folder)


def qwen3_classifier(folder: Path, *, labels: int = 1) -> None:
    """A conversion to a sequence classifier, with score.weight instead of a vocabulary projection, and the prompt as
    the chat template of its tokenizer_config.json."""
    write_tiny(folder)
    add_settings(folder / "tokenizer_config.json", chat_template="<|im_start|>system\nJudge whether the Document meets")
    config = transformers.Qwen3Config.from_pretrained(folder, num_labels=labels)
    torch.manual_seed(1)
    shake(transformers.Qwen3ForSequenceClassification(config)).save_pretrained(folder)


def add_settings(path: Path, **settings: Any) -> None:
    """Add fields to a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def matrix(folder: Path, *, pickled: bool = False) -> None:
    write_tiny(folder)
    tensors = {f"backbone.{k.removeprefix('model.')}": v for k, v in load_file(folder / "model.safetensors").items()}
    torch.manual_seed(2)
    tensors |= {"head.weight": torch.randn(1, 64) / 8, "head.bias": torch.randn(1)}
    (folder / "model.safetensors").unlink()
    if pickled:
        torch.save({"model_state_dict": tensors, "config": {"lr": 1e-5}}, folder / "final.pt")
    else:
        save_file(tensors, folder / "model.safetensors")
    body = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**MATRIX, "backbone_config": body, "model_type": "matrix-v6"}))


def mmbert(folder: Path, *, declared: bool = False, pickled: bool = True) -> None:
    """Exits after 1, 2 and 4 of 4 layers, widths 64, 32 and 16."""
    tokenizer = tiny_tokenizers.byte_level()
    torch.manual_seed(3)
    config = modernbert_config(tokenizer.get_vocab_size(), max_position_embeddings=65536)
    if declared:
        config.representation_contract = {
            "version": 1,
            "intermediate_normalization": "final_norm",
            "final_normalization": "final_norm",
            "pooling": "cls",
            "head_dtype": "float32",
        }
    shake(transformers.ModernBertModel(config)).save_pretrained(folder)
    tiny_tokenizers.save(tokenizer, folder, max_length=8192)
    heads = {
        f"{layer}.{dim}.{part}": torch.randn(shape) / 8
        for layer in (1, 2, 4)
        for dim in (16, 32, 64)
        for part, shape in {
            "0.weight": (dim // 2, dim), "0.bias": (dim // 2,), "3.weight": (1, dim // 2), "3.bias": (1,),
        }.items()
    }  # fmt: skip
    if pickled:
        torch.save(heads, folder / "classification_heads.pt")
    else:
        save_file(heads, folder / "classification_heads.safetensors")


def colbert(folder: Path, *, residual: bool = True, attend: bool = False, **config: Any) -> None:
    """ModernBERT and three projections, the second residual, like Reason-mxbai-colbert-v0.1."""
    tokenizer = tiny_tokenizers.byte_level(prefixes=["[Q] ", "[D] "])
    torch.manual_seed(4)
    body = shake(transformers.ModernBertModel(modernbert_config(tokenizer.get_vocab_size())))
    body.save_pretrained(folder)
    tiny_tokenizers.save(tokenizer, folder, max_length=4096)
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for i, (inputs, outputs) in enumerate(((64, 96), (96, 96), (96, 32)), 1):
        modules.append({"idx": i, "name": str(i), "path": f"{i}_Dense", "type": "pylate.models.Dense.Dense"})
        (folder / f"{i}_Dense").mkdir(parents=True, exist_ok=True)
        settings = {
            "in_features": inputs,
            "out_features": outputs,
            "bias": False,
            "activation_function": "torch.nn.modules.activation.GELU" if i == 1 else "torch.nn.modules.linear.Identity",
            "use_residual": residual and i < 3,
        }
        tensors = {"linear.weight": torch.randn(outputs, inputs) / inputs**0.5}
        if settings["use_residual"] and inputs != outputs:
            tensors["residual.weight"] = torch.randn(outputs, inputs) / inputs**0.5
        (folder / f"{i}_Dense" / "config.json").write_text(json.dumps(settings))
        save_file(tensors, folder / f"{i}_Dense" / "model.safetensors")
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 127, "do_lower_case": True}))
    told = {
        "model_type": "ColBERT",
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": 150,
        "document_length": 300,
        "attend_to_expansion_tokens": attend,
        "do_query_expansion": True,
        "similarity_fn_name": "MaxSim",
        "prompts": {},
        "default_prompt_name": None,
        "skiplist_words": list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        "__version__": {"sentence_transformers": "5.0.0", "transformers": "4.57.6", "pytorch": "2.8.0"},
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps({**told, **config}))


def multi_vector(folder: Path) -> None:
    """The layout of sentence-transformers 6: settings in other files, a mask and a norm as modules."""
    colbert(folder)
    told = json.loads((folder / "config_sentence_transformers.json").read_text())
    modules = json.loads((folder / "modules.json").read_text())
    package, tokens = "sentence_transformers", "token_embeddings"
    for module in modules[1:]:
        module["type"] = f"{package}.base.modules.dense.Dense"
        path = folder / module["path"] / "config.json"
        names = {"module_input_name": tokens, "module_output_name": tokens}
        path.write_text(json.dumps({**json.loads(path.read_text()), **names}))
    for i, type_ in ((4, f"{package}.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"),
                     (5, f"{package}.base.modules.normalize.Normalize")):  # fmt: skip
        own = folder / f"{i}_{type_.rpartition('.')[2]}"
        own.mkdir()
        modules.append({"idx": i, "name": str(i), "path": own.name, "type": type_})
        mask = {"skiplist_words": told["skiplist_words"], "skiplist_tasks": ["document"], "keep_only_token_ids": None}
        norm = {"module_input_name": tokens, "module_output_name": tokens}
        (own / "config.json").write_text(json.dumps(mask if i == 4 else norm))
    (folder / "modules.json").write_text(json.dumps(modules))
    prompts = {"query": told["query_prefix"], "document": told["document_prefix"]}
    (folder / "config_sentence_transformers.json").write_text(
        json.dumps({"model_type": "MultiVectorEncoder", "prompts": prompts, "similarity_fn_name": None})
    )
    settings = {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
        "module_output_name": tokens,
        "document_length": told["document_length"],
        "query_expansion": {"strategy": "fixed", "attend": True, "token": None, "length": told["query_length"]},
    }
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings))


def bert(folder: Path, *, labels: int = 1, seed: int = 5, **config: Any) -> None:
    tokenizer = tiny_tokenizers.wordpiece()
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=96, max_position_embeddings=640, num_labels=labels, pad_token_id=0,
        sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity", "version": "5.0.0"}, **config,
    )  # fmt: skip
    shake(transformers.BertForSequenceClassification(config)).save_pretrained(folder)
    tiny_tokenizers.save(tokenizer, folder, max_length=640, inputs=["token_type_ids"])


def xlm_roberta(folder: Path) -> None:
    tokenizer = tiny_tokenizers.unigram()
    torch.manual_seed(6)
    config = transformers.XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=96, max_position_embeddings=642, num_labels=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        type_vocab_size=1, layer_norm_eps=1e-5,
    )  # fmt: skip
    shake(transformers.XLMRobertaForSequenceClassification(config)).save_pretrained(folder)
    tiny_tokenizers.save(tokenizer, folder, max_length=640)


def modernbert(folder: Path, *, pooling: str = "mean", labels: int = 1) -> None:
    tokenizer = tiny_tokenizers.byte_level()
    torch.manual_seed(7)
    config = modernbert_config(tokenizer.get_vocab_size(), num_labels=labels, classifier_pooling=pooling)
    shake(transformers.ModernBertForSequenceClassification(config)).save_pretrained(folder)
    tiny_tokenizers.save(tokenizer, folder, max_length=4096)


def module_stack(folder: Path) -> None:
    """Pooling, Dense with GELU, LayerNorm, Dense to the score, like the Ettin rerankers."""
    tokenizer = tiny_tokenizers.byte_level()
    torch.manual_seed(8)
    shake(transformers.ModernBertModel(modernbert_config(tokenizer.get_vocab_size()))).save_pretrained(folder)
    tiny_tokenizers.save(tokenizer, folder, max_length=4096)
    package = "sentence_transformers"
    layers: list[tuple[str, str, dict[str, Any], dict[str, torch.Tensor]]] = [
        ("Pooling", f"{package}.models.Pooling", {"word_embedding_dimension": 64, "pooling_mode_cls_token": True}, {}),
        (
            "Dense", f"{package}.models.Dense",
            {"in_features": 64, "out_features": 64, "bias": True,
             "activation_function": "torch.nn.modules.activation.GELU"},
            {"linear.weight": torch.randn(64, 64) / 8, "linear.bias": torch.randn(64)},
        ),
        (
            "LayerNorm", f"{package}.models.LayerNorm", {"dimension": 64},
            {"norm.weight": torch.rand(64) + 0.5, "norm.bias": torch.randn(64)},
        ),
        (
            "Dense", f"{package}.models.Dense",
            {"in_features": 64, "out_features": 1, "bias": True, "module_output_name": "scores",
             "activation_function": "torch.nn.modules.linear.Identity"},
            {"linear.weight": torch.randn(1, 64) / 8, "linear.bias": torch.randn(1)},
        ),
    ]  # fmt: skip
    modules = [{"idx": 0, "name": "0", "path": "", "type": f"{package}.models.Transformer"}]
    for i, (kind, type_, config, tensors) in enumerate(layers, 1):
        own = folder / f"{i}_{kind}"
        own.mkdir()
        modules.append({"idx": i, "name": str(i), "path": own.name, "type": type_})
        (own / "config.json").write_text(json.dumps(config))
        if tensors:
            save_file(tensors, own / "model.safetensors")
    (folder / "modules.json").write_text(json.dumps(modules))
    identity = {"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity", "prompts": {}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(identity))


def electra(folder: Path, *, labels: int = 1) -> None:
    """An architecture without a builder, which is traced."""
    tokenizer = tiny_tokenizers.wordpiece()
    torch.manual_seed(9)
    config = transformers.ElectraConfig(
        vocab_size=tokenizer.get_vocab_size(), embedding_size=128, hidden_size=128, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=96, max_position_embeddings=640, num_labels=labels, pad_token_id=0,
    )  # fmt: skip
    shake(transformers.ElectraForSequenceClassification(config)).save_pretrained(folder)
    tiny_tokenizers.save(tokenizer, folder, max_length=640, inputs=["token_type_ids"])


def logit_score(folder: Path, *, false: int | None = None, chat: str = CHAT) -> None:
    write_tiny(folder)
    (folder / "chat_template.jinja").write_text(chat)
    package = "sentence_transformers"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{package}.base.modules.transformer.Transformer"},
        {"idx": 1, "name": "1", "path": "1_LogitScore", "type": f"{package}.cross_encoder.modules.LogitScore"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_LogitScore").mkdir()
    identity = {"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.linear.Identity", "prompts": {}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(identity))
    answers = {"true_token_id": 17, "false_token_id": false, "module_input_name": "causal_logits"}
    (folder / "1_LogitScore" / "config.json").write_text(json.dumps(answers))
    settings = {
        "transformer_task": "text-generation",
        "modality_config": {
            "text": {"method": "forward", "method_output_name": "logits"},
            "message": {"method": "forward", "method_output_name": "logits", "format": "flat"},
        },
        "module_output_name": "causal_logits",
        "processing_kwargs": {"chat_template": {"add_generation_prompt": True}},
    }
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings))


def qwen2_logit_score(folder: Path, *, words: Sequence[str] = ()) -> None:
    """Two answers, Qwen2's biases, and a width that fills neither whole blocks nor multiples of 64 bytes.

    words: which the tokenizer is trained on as well.
    """
    logit_score(folder, false=23)
    tokenizer = tiny_tokenizers.qwen(words=words)
    torch.manual_seed(10)
    config = transformers.Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=104, tie_word_embeddings=True, max_position_embeddings=4096,
    )  # fmt: skip
    model = shake(transformers.Qwen2ForCausalLM(config))
    with torch.no_grad():
        # The table is tied to the vocabulary projection; with the usual values, logits would be in the tens.
        model.model.embed_tokens.weight /= 8
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))


def llama_config(vocabulary: int, **changes: Any) -> dict[str, Any]:
    """The fields of a tiny Llama, in the spelling of both transformers releases."""
    return {
        "vocab_size": vocabulary,
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 96,
        "max_position_embeddings": 4096,
        "rope_theta": 1e4,
        "rope_scaling": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 256,
        },
        **changes,
    }  # fmt: skip


def llama_logit_score(folder: Path) -> None:
    """Biases in all layers, and an untied vocabulary projection."""
    logit_score(folder, false=23)
    tokenizer = tiny_tokenizers.qwen()
    torch.manual_seed(11)
    settings = llama_config(tokenizer.get_vocab_size(), attention_bias=True, mlp_bias=True, tie_word_embeddings=False)
    shake(transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings))).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))


def llama_embedding(folder: Path) -> None:
    """The modules of Qwen3-Embedding on a tied Llama with an explicit head_dim."""
    qwen3_embedding(folder)
    torch.manual_seed(12)
    settings = llama_config(VOCABULARY, head_dim=32, rope_scaling=None)
    shake(transformers.LlamaModel(transformers.LlamaConfig(**settings))).save_pretrained(folder)


def mxbai_rerank(folder: Path) -> None:
    """A checkpoint whose files look like any Qwen2 but for the model card; its tokenizer has the prompt's words, to
    leave room for texts."""
    qwen2_logit_score(folder, words=[PREFIX, TASK] * 3)
    for name in (
        "modules.json",
        "config_sentence_transformers.json",
        "sentence_bert_config.json",
        "chat_template.jinja",
    ):
        (folder / name).unlink()
    shutil.rmtree(folder / "1_LogitScore")
    (folder / "README.md").write_text("---\nbase_model:\n- mixedbread-ai/mxbai-rerank-base-v2\n---\n")


def llama_nemotron(folder: Path) -> None:
    """As NVIDIA's code saves it: its own model_type, the code's name in auto_map, and a temperature other than 1."""
    tokenizer = tiny_tokenizers.qwen()
    # As in Llama 3, every text begins with it.
    first = "<|endoftext|>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A", pair=f"{first} $A $B", special_tokens=[(first, tokenizer.token_to_id(first))]
    )
    torch.manual_seed(13)
    settings = llama_config(tokenizer.get_vocab_size(), num_labels=1, pad_token_id=tokenizer.token_to_id(first))
    model = shake(transformers.LlamaForSequenceClassification(transformers.LlamaConfig(**settings)))
    with torch.no_grad():
        # The mean of many tokens is small; without this, the score would be too.
        model.score.weight *= 4
    model.save_pretrained(folder)
    code = "llama_bidirectional_model."
    own = {
        "model_type": "llama_bidirec",
        "architectures": ["LlamaBidirectionalForSequenceClassification"],
        "auto_map": {
            "AutoConfig": f"{code}LlamaBidirectionalConfig",
            "AutoModelForSequenceClassification": f"{code}LlamaBidirectionalForSequenceClassification",
        },
        "pooling": "avg",
        "temperature": 0.5,
    }
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **own}))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": first, "bos_token": first,
             "padding_side": "left", "model_max_length": 4096}
        )
    )  # fmt: skip


def qwen3_embedding(folder: Path) -> None:
    write_tiny(folder)
    transformers.Qwen3Model.from_pretrained(folder).save_pretrained(folder)
    package = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{package}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{package}.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{package}.Normalize"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": 64, "pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    query = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
    prompts = {"prompts": {"query": query, "document": ""}, "similarity_fn_name": "cosine"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    # Qwen3-Embedding's tokenizer ends every text with the end-of-text token.
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text())
    end = next(token for token in data["added_tokens"] if token["content"] == "<|endoftext|>")
    template = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}]
    data["post_processor"] = {
        "type": "TemplateProcessing",
        "single": template,
        "pair": [*template, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [end["id"]], "tokens": ["<|endoftext|>"]}},
    }
    path.write_text(json.dumps(data))


def _of(write: Callable[..., object], **arguments: Any) -> Callable[[Path], object]:
    return lambda folder: write(folder, **arguments)


NONE = FamilyOptions()
TINY = {
    "qwen3-reranker": Tiny(family="qwen3-reranker", write=qwen3_reranker),
    "qwen3-reranker, classifier": Tiny(family="qwen3-reranker", write=qwen3_classifier),
    "matrix-v6": Tiny(family="matrix-v6-reranker", write=matrix, options=NONE),
    "matrix-v6, pickled": Tiny(family="matrix-v6-reranker", write=_of(matrix, pickled=True), options=NONE),
    "mmbert, legacy": Tiny(family="mmbert-rerank", write=mmbert),
    "mmbert, declared": Tiny(family="mmbert-rerank", write=_of(mmbert, declared=True, pickled=False)),
    "colbert, mean": Tiny(family="colbert", write=colbert, options=FamilyOptions(masked_row="mean")),
    "colbert, attending": Tiny(family="colbert", write=_of(colbert, attend=True), options=NONE),
    "colbert, sentence-transformers": Tiny(family="colbert", write=multi_vector, options=NONE),
    "bert": Tiny(family="cross-encoder", write=bert),
    "bert, two labels": Tiny(family="cross-encoder", write=_of(bert, labels=2)),
    "xlm-roberta": Tiny(family="cross-encoder", write=xlm_roberta),
    "modernbert": Tiny(family="cross-encoder", write=modernbert),
    "module stack": Tiny(family="cross-encoder", write=module_stack),
    "electra, traced": Tiny(family="cross-encoder", write=electra),
    "zerank": Tiny(family="zerank", write=logit_score),
    "logit score, qwen2": Tiny(family="zerank", write=qwen2_logit_score),
    "logit score, llama": Tiny(family="zerank", write=llama_logit_score),
    "qwen3-embedding": Tiny(family="qwen3-embedding", write=qwen3_embedding),
    "qwen3-embedding, llama": Tiny(family="qwen3-embedding", write=llama_embedding),
    "mxbai-rerank": Tiny(family="mxbai-rerank", write=mxbai_rerank),
    "llama-nemotron-rerank": Tiny(family="llama-nemotron-rerank", write=llama_nemotron),
}
if int(transformers.__version__.split(".")[0]) >= 5:
    # transformers 4 cannot compute zeros.
    TINY["colbert, zero"] = Tiny(family="colbert", write=colbert, options=FamilyOptions(masked_row="zero"))
