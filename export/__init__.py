"""Turns reranker checkpoints into verified ONNX artifacts."""
