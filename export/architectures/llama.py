"""Llama decoders: no norms inside attention, biases if config.json sets them."""

from onnxrank.export.architectures.decoder_body import Differences, causal_decoder

DIFFERENCES = Differences(
    input_bias="attention_bias",
    output_bias="attention_bias",
    mlp_bias="mlp_bias",
    # How training split matrix products over devices.
    harmless={"pretraining_tp"},
)
DECODER = causal_decoder(DIFFERENCES)
