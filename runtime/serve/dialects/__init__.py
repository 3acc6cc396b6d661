"""One file per dialect: the names it gives to the fields of a request, how it writes an answer and an error. May import
`onnxrank.serve.requests`, and nothing else of this folder."""
