"""Scores tables of queries and documents: rows that fail are marked, files are resumed after a crash. It may touch
everything but the command line and integrations."""
