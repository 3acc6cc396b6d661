"""`onnxrank serve`: models behind HTTP. Data flows from errors and requests through model/, scheduling/, dialects/ and
observation/ to http/; each may import what stands before it. Imports of web frameworks stay in this folder."""
