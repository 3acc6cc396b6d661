"""Computes scores from token ids: ONNX Runtime sessions, batches, and the two scorers that everything else calls.

May import artifact/ and text/.
"""
