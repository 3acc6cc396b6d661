"""What to do if a variant does not score like PyTorch, or loses too much."""

from onnxrank.artifact.variants import PRECISIONS
from onnxrank.export.options import Options

MORE_PRECISE = {"fp16": "--fp32", "int8": "--fp16 or --fp32", "q4": "--int8 or --fp32", "q4f16": "--fp16 or --fp32"}
SMALLEST_BLOCK = 16


def remedy(variant: str, options: Options, *, lossy: bool) -> str:
    """Return what a sentence about a variant ends with. lossy: whether it only loses more than it should."""
    if variant not in MORE_PRECISE:
        return "float32 should, so please report it with the checkpoint's name."
    ways = [f"a more precise variant ({MORE_PRECISE[variant]})"]
    if options.calibrates(PRECISIONS[variant]) and options.calibration is None:
        ways.append("--calibration with texts like yours")
    elif options.has_quality(PRECISIONS[variant]) and options.quality == "fast":
        ways.append("--quality best")
    if variant.startswith("q4"):
        if options.method != "gptq":
            ways.append("--method gptq")
        if options.block_size > SMALLEST_BLOCK:
            ways.append(f"--block-size {SMALLEST_BLOCK}")
        if options.embedding_bits == 4:
            ways.append("--embedding-bits 8")
    if len(options.variants) > 1:
        ways.append("--keep-passing to write the others")
    if lossy:
        ways.append("--accept-loss to write it as it is")
    return f"try {', '.join(ways[:-1])}{' or ' if len(ways) > 1 else ''}{ways[-1]}."
