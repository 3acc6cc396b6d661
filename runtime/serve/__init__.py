"""`onnxrank serve`: the scorer behind HTTP. Codecs (dialects/) turn bodies into requests, the scheduler shares the
processor between requests, the app joins both. Imports of web frameworks stay in this folder."""
