"""Removes rows of embedding tables, for a vocabulary with fewer tokens."""

from functools import partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.quantize.weights import embedding_gathers, lazy


def keep_rows(model: ir.Model, rows: NDArray[np.int64]) -> int:
    """Keep only these rows, int64 [kept] ascending, of every table that `input_ids` indexes, in place; return how many
    tables there were.

    A table that is too small, or that other nodes read too, is skipped, because it is not the vocabulary's.
    """
    count = 0
    for found in embedding_gathers(model):
        table = found.weight
        if _is_input(found.node.inputs[1]) and len(table.uses()) == 1 and found.shape[0] > rows[-1]:
            assert table.const_value is not None
            shape = (len(rows), found.shape[1])
            table.const_value = lazy(found.name, found.dtype, shape, partial(_rows, table.const_value, rows))
            table.shape = ir.Shape(shape)
            count += 1
    return count


def _is_input(ids: ir.Value | None) -> bool:
    """Whether these are the graph's `input_ids`, which some graphs roll to one side first."""
    while ids and (node := ids.producer()) and node.op_type == "GatherElements":
        ids = node.inputs[0]
    return ids is not None and ids.name == "input_ids"


def _rows(table: ir.TensorProtocol, rows: NDArray[np.int64]) -> NDArray[np.floating]:
    return table.numpy()[rows]
