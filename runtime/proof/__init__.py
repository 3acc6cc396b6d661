"""Compares an artifact's scores with PyTorch's, through the same scorers that users call.

May import artifact/, text/, engine/ and quality/.
"""
