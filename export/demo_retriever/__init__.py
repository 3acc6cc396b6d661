"""The demo retriever that ships with the package: a checkpoint, next to the demo reranker's."""
