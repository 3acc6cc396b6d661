"""Ranking quality: measures, files of documents and queries, tests of retrieval and of long documents.

May import everything but proof/ and cli/.
"""
