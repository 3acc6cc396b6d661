"""Texts become token ids: documents with fields, prompts, and the tokenizer that keeps control tokens out of them.

May import artifact/.
"""
