"""Graph bodies, one file per `model_type` of transformers, built op by op from the weights."""

from onnxrank.export.architectures import bert, modernbert, qwen3
from onnxrank.export.architectures.architecture import Decoder, Encoder

_QWEN = Decoder(build=qwen3.build, cache=qwen3.cache)
_BERT = Encoder(build=bert.build, anchor=bert.ANCHOR, token_types=bert.token_types, positions=bert.positions)

DECODERS = {"qwen2": _QWEN, "qwen3": _QWEN}
ENCODERS = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "modernbert": Encoder(
        build=modernbert.build,
        anchor=modernbert.ANCHOR,
        token_types=lambda config: False,
        positions=modernbert.positions,
    ),
}
