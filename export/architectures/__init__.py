"""Model bodies, one file per `model_type` of transformers, built op by op from the weights.

A new architecture is a file here and a line in one of the two lists.
"""

from onnxrank.export.architectures import bert, llama, llama_bidirec, modernbert, qwen2, qwen3

DECODERS = {
    "llama": llama.DECODER,
    "qwen2": qwen2.DECODER,
    "qwen3": qwen3.DECODER,
}
ENCODERS = {
    "bert": bert.ENCODER,
    "llama_bidirec": llama_bidirec.ENCODER,
    "modernbert": modernbert.ENCODER,
    "roberta": bert.ENCODER,
    "xlm-roberta": bert.ENCODER,
}
