"""Computes PyTorch's own scores of a checkpoint for the golden pairs, and ranking measures of an evaluation set.

May import all subpackages except artifact/.
"""
