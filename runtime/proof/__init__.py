"""Compares an artifact's graphs with PyTorch's scores, by the scorers that ship.

May import artifact/, text/ and engine/.
"""
