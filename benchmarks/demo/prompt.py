"""The official Qwen3-Reranker prompt, in the pieces that training computes once for several documents."""

SYSTEM = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
INSTRUCTION = "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n<Query>:"
QUERY = " {}\n<Document>:"
DOCUMENT = " {}"
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
