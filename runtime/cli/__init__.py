"""The `onnxrank` command: one file a command, options declared once in options.py. May import everything."""
