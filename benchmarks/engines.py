"""The engines that are compared: commands, files and settings."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PEERS = Path("build/peers")
CHECKPOINT = Path("build/qwen3-full-size")
CLASSIFIER = Path("build/bench/classifier")
ARTIFACT = Path("build/bench/qwen3")
# Qwen3's token ids of the answers "yes" and "no".
ANSWERS = ("9693", "2152")
OURS, ORACLE = "onnxrank int8", "PyTorch fp32"
# The process keeps freed memory: PyTorch's large outputs then need no new pages, which made it up to 10 % faster.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000", "MALLOC_TOP_PAD_": "100000000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A worker's command (see peers/worker.py).

    environment: its folder in build/peers; by default this environment. weights: patterns of the files whose size is
    reported. shares_prefix: whether the documents' common tokens are computed once. growth: whether it is in the
    sweeps.
    """

    module: str
    arguments: tuple[str, ...]
    settings: str
    weights: tuple[Path, ...]
    environment: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    shares_prefix: bool = False
    growth: bool = False

    def command(self, workloads: Path) -> list[str]:
        python = str(PEERS / self.environment / "bin/python") if self.environment else sys.executable
        return [python, "-m", self.module, str(workloads), *self.arguments]


def _ours(variant: str, suffix: str) -> Engine:
    return Engine(
        module="benchmarks.ours_worker",
        arguments=(str(ARTIFACT), variant),
        settings="Reranker.score of texts, automatic batching; the instruction's cache is warm, the query's is not",
        weights=(ARTIFACT / f"onnx/model{suffix}.onnx_data*",),
        shares_prefix=True,
        growth=True,
    )


def _pytorch(dtype: str) -> Engine:
    return Engine(
        module="benchmarks.peers.pytorch_worker",
        arguments=(str(CLASSIFIER), dtype),
        settings=f"transformers, {dtype}, sdpa, one logit of the last token, batches of 512 tokens, memory kept",
        weights=(CHECKPOINT / "model.safetensors",),
        variables=KEEP_MEMORY,
        growth=dtype == "float32",
    )


def _llama_cpp(kind: str, mode: str, settings: str, growth: bool = False) -> Engine:
    model = PEERS / f"llama-cpp/models/{kind}.gguf"
    return Engine(
        module="benchmarks.peers.llama_cpp_worker",
        arguments=(str(model), mode, *ANSWERS),
        settings=f"built natively, flash attention, unified cache, logits of last tokens only; {settings}",
        weights=(model,),
        environment="llama-cpp",
        shares_prefix=mode == "shared",
        growth=growth,
    )


def _openvino(kind: str, group: int, settings: str, growth: bool = False) -> Engine:
    folder = PEERS / f"openvino/models/{kind}"
    return Engine(
        module="benchmarks.peers.openvino_worker",
        arguments=(str(folder), str(group)),
        settings=f"optimum-intel, {settings}, dynamic quantization in groups of {group}, bf16, batches of 512 tokens",
        weights=(folder / "openvino_model.bin",),
        environment="openvino",
        growth=growth,
    )


WHOLE = "whole prompts, up to 16 sequences and 512 tokens in a batch, as its server reranks"
SHARED = "instruction and query computed once and shared by sequences (not in its server), 256 tokens in a batch"
OPTIMUM = PEERS / "optimum/models"
CEILINGS = Engine(module="benchmarks.ceilings_worker", arguments=(), settings="", weights=())
ENGINES = {
    OURS: _ours("int8", "_quantized"),
    "onnxrank q4": _ours("q4", "_q4"),
    ORACLE: _pytorch("float32"),
    "PyTorch bf16": _pytorch("bfloat16"),
    "llama.cpp Q8_0": _llama_cpp("q8_0", "prompts", WHOLE, growth=True),
    "llama.cpp Q4_0": _llama_cpp("q4_0", "prompts", WHOLE),
    "llama.cpp Q8_0, shared prefix": _llama_cpp("q8_0", "shared", SHARED),
    "llama.cpp Q4_0, shared prefix": _llama_cpp("q4_0", "shared", SHARED),
    "OpenVINO int8": _openvino("int8", 256, "symmetric 8-bit weights", growth=True),
    "OpenVINO int4": _openvino("int4", 128, "symmetric 4-bit weights in groups of 128"),
    "optimum int8": Engine(
        module="benchmarks.peers.optimum_worker",
        arguments=(str(OPTIMUM),),
        settings="optimum-onnx, dynamic int8 of avx512_vnni, per channel, ONNX Runtime, batches of 256 tokens",
        weights=(OPTIMUM / "model_quantized.onnx",),
        environment="optimum",
        growth=True,
    ),
}
