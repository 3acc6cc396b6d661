"""PyTorch's own scores of a checkpoint, the pairs that it scores, and the ranking measures of an evaluation set.

May import all rooms but artifact/.
"""
