"""Turns texts into token ids: documents with fields, prompts, and a tokenizer that treats control tokens as text.

May import artifact/.
"""
