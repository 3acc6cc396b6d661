"""Writes the artifact: the staged folder, graphs and weights, the card, and the files for browsers.

May import all subpackages.
"""
