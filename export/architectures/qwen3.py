"""Qwen3 decoders: each head's queries and keys are RMS-normalised."""

from onnxrank.export.architectures.decoder_body import Differences, causal_decoder
from onnxrank.export.architectures.qwen2 import FULL_ATTENTION, UNUSED

DECODER = causal_decoder(
    Differences(
        head_norms=True,
        input_bias="attention_bias",
        output_bias="attention_bias",
        harmless=UNUSED,
        fixed=FULL_ATTENTION,
    )
)
