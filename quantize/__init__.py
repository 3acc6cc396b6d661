"""Passes that turn a float32 graph into a smaller one. Each works on any onnx_ir model, in place."""
