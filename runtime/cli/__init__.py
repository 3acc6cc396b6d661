"""The `onnxrank` command: one file per command; shared options are in options.py. May import everything."""
