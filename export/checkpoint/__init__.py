"""Reads checkpoints: where they come from, configuration, tensors, tokenizer and vocabulary.

May import only `onnxrank`; builds no graph.
"""
