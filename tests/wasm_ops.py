"""The operators that graphs for browsers may use."""

# What ONNX Runtime Web 1.31's WASM build has a kernel for, as far as we need it: the tests in runtime/web/tests/browser
# ran graphs of these in Chromium. A new one is written here once they have. GatherBlockQuantized is known to have none.
ON_WASM = {
    "Abs", "Add", "And", "ArgMax", "BiasGelu", "Cast", "Concat", "Cos", "Div", "Equal", "Expand", "Gather",
    "GatherElements", "GatherND", "Gelu", "Gemm", "GreaterOrEqual", "GroupQueryAttention", "LayerNormalization",
    "LessOrEqual", "MatMul", "MatMulIntegerToFloat", "MatMulNBits", "Max", "Min", "Mod", "Mul", "MultiHeadAttention",
    "Pad", "QuantizeLinear", "QuickGelu", "Range", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum", "Reshape",
    "RotaryEmbedding", "Shape", "SimplifiedLayerNormalization", "Sin", "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization", "Slice", "Softmax", "Split", "Squeeze", "Sub", "Tanh", "Transpose",
    "Unsqueeze", "Where",
}  # fmt: skip
