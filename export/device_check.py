"""`device_check.json`: what each graph gives for a few golden pairs, for scorers on devices unknown here.

A GPU in a browser is compared with these, not with PyTorch: 4 bits may stray from PyTorch further than a broken kernel
does, and the packed graph of 4 bits from the portable one.
"""

import json
from pathlib import Path

import numpy as np

from onnxrank.artifact import TOKENIZER
from onnxrank.golden import GoldenPair, read_golden
from onnxrank.late_interaction import LateInteraction
from onnxrank.manifest import Manifest, Variant
from onnxrank.packed import packed_scorer
from onnxrank.portable import score
from onnxrank.prompt import EncodedPair, PromptEncoder
from onnxrank.session import CPU, Session

DEVICE_CHECK = "device_check.json"

# Kernels for attention take other paths for longer texts: one may be right up to 32 tokens and wrong beyond.
LONGER_THAN = (0, 32, 128)


def write_device_check(folder: Path, manifest: Manifest) -> None:
    """Write the file for a model that scores, by its graphs on the CPU.

    pairs: the shortest golden pair, the shortest of more than 32 tokens, and likewise of 128. logits: of each variant's
    portable graph, laid out as in golden.json. packed: of the packed graphs. deviation: the standard deviation of each
    column of the golden logits.
    """
    scoring = manifest.scoring
    if not (scoring.prompt or scoring.late_interaction):
        return
    golden = read_golden(folder).scored
    pairs = _choose(golden)
    data = {
        "pairs": [
            {
                "query": pair.query,
                "document": pair.document,
                "query_token_ids": pair.query_token_ids,
                "token_ids": pair.token_ids,
            }
            for pair in pairs
        ],
        "logits": {
            name: _of_pairs(folder, manifest, variant, pairs) if scoring.prompt else _of_tokens(folder, name, pairs)
            for name, variant in manifest.variants.items()
        },
        "packed": {
            name: scorer.score_pairs(_encoded(folder, manifest, pairs)).tolist()
            for name, variant in manifest.variants.items()
            if (scorer := packed_scorer(folder, variant, scoring.kv_cache, None))
        },
        "deviation": np.std([pair.logits or () for pair in golden], axis=0).tolist(),
    }
    (folder / DEVICE_CHECK).write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")


def _choose(golden: tuple[GoldenPair, ...]) -> list[GoldenPair]:
    by_length = sorted(golden, key=lambda pair: len(pair.token_ids))
    found = [next((p for p in by_length if len(p.token_ids) > length), None) for length in LONGER_THAN]
    return [pair for i, pair in enumerate(found) if pair is not None and pair not in found[:i]]


def _of_pairs(folder: Path, manifest: Manifest, variant: Variant, pairs: list[GoldenPair]) -> list[list[float]]:
    scoring = manifest.scoring
    encoded = _encoded(folder, manifest, pairs)
    exits = scoring.matryoshka.layers if scoring.matryoshka else (None,)
    columns = [
        score(
            Session(folder / variant.exits.get(str(layers), variant.portable), [CPU], None),
            [pair.token_ids for pair in encoded],
            second_starts=[pair.document_start for pair in encoded],
            pad_token_id=scoring.pad_token_id,
            readout=scoring.readout,
            batch_tokens=1,  # one by one
        )
        for layers in exits
    ]
    rows: list[list[float]] = np.concatenate(columns, axis=1).tolist()
    return rows


def _encoded(folder: Path, manifest: Manifest, pairs: list[GoldenPair]) -> list[EncodedPair]:
    scoring = manifest.scoring
    assert scoring.prompt
    encoder = PromptEncoder(folder / TOKENIZER, scoring.prompt, scoring.max_length)
    return [encoder.pairs(pair.query, [pair.document], None, special_tokens=False)[0] for pair in pairs]


def _of_tokens(folder: Path, name: str, pairs: list[GoldenPair]) -> list[list[float]]:
    model = LateInteraction(folder, variant=name)
    return [[model.rank(pair.query, [pair.document])[0]["score"]] for pair in pairs]
