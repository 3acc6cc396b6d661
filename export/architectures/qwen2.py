"""Qwen2 decoders: queries, keys and values have biases."""

from onnxrank.export.architectures.decoder_body import Differences, causal_decoder

# Configurations name a window even if it is not used.
FULL_ATTENTION = {"use_sliding_window": (False, None)}
UNUSED = {"max_window_layers", "sliding_window"}

DECODER = causal_decoder(Differences(input_bias=True, harmless=UNUSED, fixed=FULL_ATTENTION))
