"""Llama decoders: no norms inside attention, biases where config.json asks for them."""

from onnxrank.export.architectures.decoder_body import Differences, causal_decoder

DIFFERENCES = Differences(
    input_bias="attention_bias",
    output_bias="attention_bias",
    mlp_bias="mlp_bias",
    # In how many slices training multiplied.
    harmless={"pretraining_tp"},
)
DECODER = causal_decoder(DIFFERENCES)
