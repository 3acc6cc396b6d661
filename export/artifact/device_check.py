"""Writes `device_check.json`: the logits of each graph for a few golden pairs, to check other devices against.

A GPU in a browser is compared with these logits, not with PyTorch's, because a 4-bit variant may differ more from
PyTorch, and its prefix graph more from its padded graph, than a broken kernel does from a correct one.
"""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.device_check import CheckedPair, DeviceCheck
from onnxrank.artifact.golden import Golden, GoldenPair, read_golden
from onnxrank.artifact.manifest import DEVICE_CHECK, Variant
from onnxrank.artifact.opening import Artifact
from onnxrank.artifact.schema import write
from onnxrank.engine.device import Device
from onnxrank.engine.pair_scorer import GraphKind, PairScorer
from onnxrank.engine.text_scorer import TextScorer
from onnxrank.proof.verification import encode_pairs, encode_texts

# For each number, the file has the shortest golden pair with more tokens than that: attention kernels take other code
# paths for longer texts, and one may be correct up to 32 tokens and wrong beyond.
LONGER_THAN = (0, 32, 128)

Rows = tuple[tuple[float, ...], ...]


def write_device_check(artifact: Artifact) -> None:
    """Compute the logits on the CPU and write the file."""
    manifest = artifact.manifest
    if not (manifest.scoring.prompt or manifest.scoring.late_interaction):
        return
    golden = read_golden(artifact.folder)
    chosen = replace(golden, pairs=tuple(_choose(golden.scored)))
    padded = partial(_pairs, graph="padded") if manifest.scoring.prompt else _texts
    check = DeviceCheck(
        pairs=tuple(
            CheckedPair(
                query=pair.query,
                document=pair.document,
                query_token_ids=pair.query_token_ids,
                token_ids=pair.token_ids,
            )
            for pair in chosen.pairs
        ),
        padded={name: padded(artifact, variant, chosen) for name, variant in manifest.variants.items()},
        prefix={
            name: _pairs(artifact, variant, chosen, graph="prefix")
            for name, variant in manifest.variants.items()
            if variant.prefix
        },
        deviation=_rows(np.std([pair.logits or () for pair in golden.scored], axis=0, keepdims=True))[0],
    )
    text = json.dumps(write(check), ensure_ascii=False)
    (artifact.folder / DEVICE_CHECK).write_text(text + "\n", encoding="utf-8")


def _choose(golden: tuple[GoldenPair, ...]) -> list[GoldenPair]:
    by_length = sorted(golden, key=lambda pair: len(pair.token_ids))
    found = [next((p for p in by_length if len(p.token_ids) > length), None) for length in LONGER_THAN]
    return [pair for i, pair in enumerate(found) if pair is not None and pair not in found[:i]]


def _pairs(artifact: Artifact, variant: Variant, golden: Golden, *, graph: GraphKind) -> Rows:
    matryoshka = artifact.manifest.scoring.matryoshka
    encoded = encode_pairs(artifact, golden)
    columns = [
        PairScorer(artifact, variant, layers=layers, device=Device(), graph=graph).score(encoded, pack_tokens=1)
        for layers in (matryoshka.layers if matryoshka else (None,))
    ]
    return _rows(np.concatenate(columns, axis=1))


def _texts(artifact: Artifact, variant: Variant, golden: Golden) -> Rows:
    scorer = TextScorer(artifact, variant, device=Device())
    queries, documents = encode_texts(artifact, golden)
    vectors = scorer.embed(documents, is_query=False, batch_tokens=1)
    similarities = [
        scorer.similarities(query, [document])
        for query, document in zip(scorer.embed(queries, is_query=True, batch_tokens=1), vectors, strict=True)
    ]
    return _rows(np.array(similarities))


def _rows(values: NDArray[Any]) -> Rows:
    return tuple(tuple(map(float, row)) for row in values)
