"""Reads what `export-model` wrote: the manifest, the golden scores, and files with checked hashes.

May import errors.py only.
"""
