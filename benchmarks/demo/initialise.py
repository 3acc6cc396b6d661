"""Structured initial weights; from random ones a model of this size does not learn to rank.

Embeddings come from query-document co-occurrence; layer 0 marks which segments have been seen; layer 1 attends
from document tokens to query tokens like them. Residual dimensions 0 to 3 are reserved: a constant, "query seen",
"document seen", and the strength of the match.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor
from transformers import Qwen3ForCausalLM

RESERVED = 4
SCALE = 0.15
# Rotary pairs of a 32-wide head that rotate little within a prompt, so that matching hardly depends on distance.
SLOW = [i for i in range(32) if i % 16 >= 6]


@torch.no_grad()
def initialise(
    model: Qwen3ForCausalLM,
    queries: Sequence[Sequence[int]],
    documents: Sequence[Sequence[int]],
    query_marker: int,
    document_marker: int,
) -> None:
    """Set the embeddings and the first two layers' attention; other weights stay random."""
    table = model.model.embed_tokens.weight
    table.copy_(embeddings(queries, documents, *table.shape))
    _mark_segments(model, query_marker, document_marker)
    _match_tokens(model)


def embeddings(queries: Sequence[Sequence[int]], documents: Sequence[Sequence[int]], rows: int, width: int) -> Tensor:
    """Return [rows, width]: singular vectors of the pointwise mutual information of query and document tokens."""
    in_queries, in_documents = _incidence(queries, rows), _incidence(documents, rows)
    together = in_queries.T @ in_documents
    counts = (together + together.T + 0.1 * (in_documents.T @ in_documents)).toarray()
    total = counts.sum(1) + 1
    expected = np.outer(total**0.75, total)
    information = np.log(np.maximum(counts * (total**0.75).sum() / expected, 1e-9))
    positive = torch.tensor(np.maximum(information, 0), dtype=torch.float32)
    vectors, values, _ = torch.svd_lowrank((positive + positive.T) / 2, q=width, niter=3)
    table: Tensor = vectors * values.sqrt()
    table = (table - table.mean(0)) @ torch.linalg.qr(torch.randn(width, width))[0]
    length = table.norm(dim=1, keepdim=True)
    table = table / (length + 1e-3 * length.mean() + 1e-6) * width**0.5 * SCALE
    unseen = torch.tensor(counts.sum(1) == 0)
    table[unseen] = torch.randn(int(unseen.sum()), width) * SCALE
    table[:, :RESERVED] = 0
    table[:, 0] = table.norm(dim=1).mean() * 0.33
    return table


def _incidence(texts: Sequence[Sequence[int]], columns: int) -> sparse.csr_matrix:
    sets = [sorted(set(ids)) for ids in texts]
    rows = np.repeat(np.arange(len(sets)), [len(ids) for ids in sets])
    ids: NDArray[np.int64] = np.concatenate([np.array(ids, np.int64) for ids in sets])
    return sparse.csr_matrix((np.ones(len(rows)), (rows, ids)), (len(sets), columns))


def _mark_segments(model: Qwen3ForCausalLM, query_marker: int, document_marker: int) -> None:
    attention = model.model.layers[0].self_attn
    table, width = model.model.embed_tokens.weight, model.config.hidden_size
    attention.q_norm.weight.fill_(1.4)
    attention.k_norm.weight.fill_(1.4)
    constant = torch.eye(width)[0]
    for group, (marker, dimension) in enumerate(((query_marker, 1), (document_marker, 2))):
        direction = table[marker].clone()
        direction[:RESERVED] = 0
        direction /= direction.norm()
        probe = _slow_unit()
        keys, heads = slice(32 * group, 32 * group + 32), slice(64 * group, 64 * group + 32)
        attention.v_proj.weight[32 * group] = 0.3 * direction
        attention.k_proj.weight[keys] = torch.outer(probe, direction) + 0.05 * torch.randn(32, width)
        attention.q_proj.weight[heads] = torch.outer(probe, constant) + 0.02 * torch.randn(32, width)
        attention.o_proj.weight[dimension] = 0
        attention.o_proj.weight[dimension, 64 * group] = 1.2 * SCALE


def _match_tokens(model: Qwen3ForCausalLM) -> None:
    attention = model.model.layers[1].self_attn
    width = model.config.hidden_size
    attention.q_norm.weight.fill_(1.6)
    attention.k_norm.weight.fill_(1.6)
    probe, axes = _slow_unit(), torch.eye(width)
    content = torch.randn(32, width) / width**0.5
    content[:, :RESERVED] = 0
    content[[i for i in range(32) if i not in SLOW]] *= 0.05
    # Keys of document tokens get low scores, so that document tokens attend to the query.
    attention.k_proj.weight[:32] = content - torch.outer(probe, axes[2])
    attention.q_proj.weight[:64] = (content + torch.outer(probe, axes[0])).repeat(2, 1)
    attention.v_proj.weight[0] = 0.3 * axes[1]
    attention.o_proj.weight[3] = 0
    attention.o_proj.weight[3, 0] = 3.3 * SCALE


def _slow_unit() -> Tensor:
    vector = torch.zeros(32)
    vector[SLOW] = torch.randn(len(SLOW))
    return torch.div(vector, vector.norm())
