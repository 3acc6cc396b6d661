"""Writes the float32 graph's keys and values of the prompt's fixed part, for variants that would compute them less
exactly: attention sinks and massive activations are there."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxrank.artifact.manifest import KeyValueCache, StoredPast
from onnxrank.artifact.opening import Artifact
from onnxrank.engine.device import CPU, onnxruntime
from onnxrank.engine.past_file import STORED, past_names
from onnxrank.engine.prefix import prefix_feeds
from onnxrank.engine.session import session_options
from onnxrank.export.artifact.saving import save_graphs
from onnxrank.export.checkpoint.vocabulary import Vocabulary
from onnxrank.export.scratch import scratch
from onnxrank.quantize.embedding_rows import keep_rows
from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.rotate import rotate
from onnxrank.text.body import TokenIds
from onnxrank.text.prompt import PromptEncoder

FILE = "onnx/fixed_past.bin"


def fixed_token_ids(artifact: Artifact) -> TokenIds:
    """Return the ids that every prompt with the default instruction starts with; there may be none."""
    scoring = artifact.manifest.scoring
    assert scoring.prompt
    encoder = PromptEncoder(artifact.tokenizer, scoring.prompt, scoring.max_length)
    (pair,) = encoder.pairs("", [""], None, special_tokens=False)
    return pair.instruction


def write_past(
    folder: Path,
    build: Callable[[], ir.Model],
    shape: KeyValueCache,
    token_ids: TokenIds,
    vocabulary: Vocabulary | None,
) -> StoredPast | None:
    """Write the keys and values of token_ids to `folder`; return None, and write nothing, if float16 cannot hold them.

    build: returns the float32 prefix graph. vocabulary: the tokens that are kept, which token_ids count; None for all.
    """
    original = np.array(token_ids) if vocabulary is None else vocabulary.rows[list(token_ids)]
    with np.errstate(over="ignore"):
        stored = _compute(build(), shape, original).astype(STORED)
    if not np.isfinite(stored).all():
        return None
    (folder / FILE).parent.mkdir(exist_ok=True)
    (folder / FILE).write_bytes(stored.tobytes())
    return StoredPast(file=FILE, token_ids=token_ids)


def _compute(model: ir.Model, shape: KeyValueCache, token_ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return [layers * 2, heads, tokens, head_dim], keys before values."""
    rows, places = np.unique(token_ids, return_inverse=True)
    # Without the rest of its vocabulary, the graph is much smaller.
    ids = places if keep_rows(model, rows) else token_ids
    # As the variants that read it: their values are in another basis.
    rotate(model, Hessians())
    place = scratch() / "float32"
    try:
        save_graphs([(place / "prefix.onnx", model)])
        options = session_options(None)
        # The weights stay in the file, which the system maps: other layouts would be copies in memory.
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.graph_optimization_level = onnxruntime().GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime().InferenceSession(str(place / "prefix.onnx"), options, providers=[CPU])
        empty = np.empty((shape.heads, 0, shape.head_dim), np.float32)
        feeds = prefix_feeds([ids.tolist()], present_length=len(ids))
        past = dict.fromkeys(past_names("past_key_values", shape), empty)
        present = session.run(past_names("present", shape), {**feeds, **past})
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return np.stack(present)[:, :, 0]
