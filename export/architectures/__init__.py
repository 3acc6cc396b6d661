"""Graph bodies, one file per `model_type` of transformers, built op by op from the weights."""

from onnxrank.export.architectures import qwen3
from onnxrank.export.architectures.architecture import Architecture

ARCHITECTURES = {"qwen3": Architecture(build=qwen3.build, cache=qwen3.cache)}
