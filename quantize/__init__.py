"""Passes that quantize a float32 graph. Each works in place on any onnx_ir model."""
