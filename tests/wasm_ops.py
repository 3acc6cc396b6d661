"""The operators that graphs for browsers may use."""

# Operators that have a kernel in ONNX Runtime Web 1.31's WASM build and that our graphs use: the tests in
# runtime/web/tests/browser ran them in Chromium. Add an operator after such a test. GatherBlockQuantized has no kernel.
ON_WASM = {
    "Abs", "Add", "And", "ArgMax", "BiasGelu", "Cast", "Concat", "Cos", "Div", "Equal", "Expand", "Gather",
    "GatherElements", "GatherND", "Gelu", "Gemm", "GreaterOrEqual", "GroupQueryAttention", "LayerNormalization",
    "LessOrEqual", "MatMul", "MatMulIntegerToFloat", "MatMulNBits", "Max", "Min", "Mod", "Mul", "MultiHeadAttention",
    "Pad", "QuantizeLinear", "QuickGelu", "Range", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum", "Reshape",
    "RotaryEmbedding", "Shape", "SimplifiedLayerNormalization", "Sin", "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization", "Slice", "Softmax", "Split", "Squeeze", "Sub", "Tanh", "Transpose",
    "Unsqueeze", "Where",
}  # fmt: skip
