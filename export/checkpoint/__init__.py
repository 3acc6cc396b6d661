"""What is read: where a checkpoint comes from, its configuration, tensors, tokenizer and vocabulary.

May import `onnxrank` alone; builds no graph.
"""
