"""The model families that can be exported, one file each; a new family is a file here and a line in the list."""

from onnxrank.export.families import (
    colbert,
    cross_encoder,
    llama_nemotron_rerank,
    matrix_v6_reranker,
    mmbert_rerank,
    mxbai_rerank,
    qwen3_embedding,
    qwen3_reranker,
    zerank,
)

FAMILIES = {
    family.name: family
    for family in (
        qwen3_reranker.FAMILY,
        matrix_v6_reranker.FAMILY,
        mmbert_rerank.FAMILY,
        colbert.FAMILY,
        cross_encoder.FAMILY,
        zerank.FAMILY,
        mxbai_rerank.FAMILY,
        llama_nemotron_rerank.FAMILY,
        qwen3_embedding.FAMILY,
    )
}
