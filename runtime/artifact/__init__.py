"""What `export-model` wrote: the manifest, the golden scores, and the files once their hashes are checked.

Imports errors.py alone.
"""
