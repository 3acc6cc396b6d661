"""Every family, on tiny random checkpoints: exported in every variant, compared with PyTorch, opened and used.

`tests/tiny_families.py` lists the checkpoints; a family without one fails here.
"""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from filelock import FileLock
from numpy.typing import NDArray
from tokenizers import Tokenizer

from onnxrank import Embedder, LateInteraction, Reranker
from onnxrank.artifact.golden import read_golden
from onnxrank.artifact.manifest import Manifest, read_manifest, write_manifest
from onnxrank.artifact.variants import PRECISIONS
from onnxrank.engine.device import CPU, Device
from onnxrank.engine.maxsim import maxsim
from onnxrank.engine.requantized import requantized
from onnxrank.engine.session import Array, Session, session_options
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.families import FAMILIES
from onnxrank.export.families.detection import find_family
from onnxrank.export.graph.heads import EXACT
from onnxrank.export.options import Options
from onnxrank.export.proof.oracle import reference_of
from onnxrank.progress import progress
from onnxrank.quantize.spread import HADAMARD
from tests.scoring import padded_logits, padded_vectors
from tests.tiny_families import TINY, Tiny
from tests.wasm_ops import ON_WASM

# Lengths around one, two and eight windows of a sliding layer; the last row of a batch is a third as long.
LENGTHS = (1, 2, 63, 64, 65, 127, 128, 129, 512, 171)
# Operators into which ONNX Runtime's extended optimizations fuse patterns that were built unfused.
FUSED = {
    "GroupQueryAttention", "MultiHeadAttention", "Attention", "SimplifiedLayerNormalization", "LayerNormalization",
    "SkipSimplifiedLayerNormalization", "SkipLayerNormalization", "QuickGelu", "Gelu", "FastGelu", "BiasGelu",
    "RotaryEmbedding", "MatMulNBits", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMulInteger",
    "DynamicQuantizeLinear", "EmbedLayerNormalization",
}  # fmt: skip
# Not detected, by design: a checkpoint without a chat template.
NAMED_BY_HAND = {"qwen3-reranker"}


@dataclass(frozen=True)
class Exported:
    name: str
    tiny: Tiny
    checkpoint: Path
    folder: Path

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.folder)


@pytest.fixture(scope="module", params=TINY)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """One tiny checkpoint in every variant; the first process that needs it exports it."""
    name: str = request.param
    tiny = TINY[name]
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    shared = tmp_path_factory.getbasetemp().parent if parallel else tmp_path_factory.mktemp("families")
    place = shared / name.replace(" ", "-").replace(",", "")
    with FileLock(f"{place}.lock"):
        if not (place / "artifact").exists():
            (place / "checkpoint").mkdir(parents=True, exist_ok=True)
            tiny.write(place / "checkpoint")
            options = Options(variants=tuple(PRECISIONS), accept_loss=True, family=tiny.options)
            source = locate(str(place / "checkpoint"))
            export(source, place / "artifact", family=tiny.family, options=options, force=False, progress=progress)
    return Exported(name, tiny, place / "checkpoint", place / "artifact")


def test_every_family_has_a_checkpoint_here() -> None:
    assert {tiny.family for tiny in TINY.values()} == set(FAMILIES)


def test_the_family_is_found_where_that_is_certain(exported: Exported) -> None:
    checkpoint = Checkpoint.open(exported.checkpoint)
    found = [family.name for family in FAMILIES.values() if family.recognises(checkpoint)]
    assert found == ([] if exported.name in NAMED_BY_HAND else [exported.tiny.family])
    if found:
        assert find_family(None, checkpoint).name == exported.tiny.family


def test_float32_is_pytorch(exported: Exported) -> None:
    manifest = exported.manifest
    late = manifest.scoring.late_interaction
    # MaxSim adds up one similarity per vector of the query.
    summed = manifest.scoring.texts.query.max_length if late and manifest.scoring.texts else 1
    for parity in manifest.variants["fp32"].parity.values():
        assert parity.pairs >= 19
        assert parity.max_logit_difference <= 1e-5 * summed
        assert parity.kendall_tau == 1.0


def test_any_length_on_either_padding_side_is_pytorch(exported: Exported) -> None:
    scoring = exported.manifest.scoring
    reference = reference_of(exported.checkpoint, exported.tiny.family, exported.tiny.options)
    rng = np.random.default_rng(0)
    tokens = min(400, Tokenizer.from_file(str(exported.checkpoint / "tokenizer.json")).get_vocab_size())
    sequences = [rng.integers(5, tokens, n).tolist() for n in LENGTHS if n <= scoring.max_length]
    session = Session(exported.folder / exported.manifest.variants["fp32"].padded, Device())
    query = rng.integers(5, tokens, 20).tolist() if scoring.texts else []
    if scoring.late_interaction and scoring.late_interaction.expansion and scoring.texts:
        query += [scoring.late_interaction.expansion.token_id] * (scoring.texts.query.max_length - len(query))
    with torch.inference_mode():
        expected = np.array([reference.score(query, ids).reshape(-1) for ids in sequences], np.float32)
    for left in (False, True):
        found = score_ids(session, exported, query, sequences, left)
        # Random ids give larger logits than texts do: differences are relative to them.
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(found / scale, expected[:, : found.shape[1]] / scale, atol=1e-5)


def score_ids(
    session: Session, exported: Exported, query: list[int], sequences: Sequence[list[int]], left: bool
) -> NDArray[np.float32]:
    """Return the logits or vectors of all sequences, in one padded batch."""
    scoring = exported.manifest.scoring
    if scoring.prompt:
        separator = list(scoring.prompt.separator_token_ids)
        starts = [
            next((i + len(separator) for i in range(len(ids)) if ids[i : i + len(separator)] == separator), len(ids))
            for ids in sequences
        ]
        return padded_logits(
            session, sequences, pad_token_id=scoring.pad_token_id, second_starts=starts, pad_left=left,
            batch_tokens=100_000,
        )  # fmt: skip
    late = scoring.late_interaction
    attended = len(query)
    if late and late.expansion and not late.expansion.attend:
        attended = 20
    vectors = partial(
        padded_vectors, session, per_token=late is not None, pad_token_id=scoring.pad_token_id, pad_left=left
    )
    (asked,) = vectors([query], attended=[attended])
    answers = vectors(sequences)
    if not late:
        return np.array([[asked @ answer] for answer in answers], np.float32)
    kept = [rows[~np.isin(ids, late.skip_token_ids)] for ids, rows in zip(sequences, answers, strict=True)]
    return maxsim(asked, kept)[:, None]


def test_every_variant_is_proven_and_used(exported: Exported) -> None:
    manifest = exported.manifest
    assert list(manifest.variants) == list(PRECISIONS)
    documents = ["Beijing has been the capital since 1949.", "", "Bread is baked from flour."]
    for name in PRECISIONS:
        if manifest.scoring.prompt:
            hits = Reranker(exported.folder, variant=name).rank("the capital of China", documents)
        elif manifest.scoring.late_interaction:
            hits = LateInteraction(exported.folder, variant=name).rank("the capital of China", documents)
        else:
            vectors = Embedder(exported.folder, variant=name).encode(documents, is_query=False)
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
            continue
        assert sorted(hit["corpus_id"] for hit in hits) == [0, 1, 2]
        assert all(np.isfinite(hit["score"]) for hit in hits)


def test_the_manifest_survives_a_round_trip(exported: Exported, tmp_path: Path) -> None:
    write_manifest(exported.manifest, tmp_path)
    assert read_manifest(tmp_path) == exported.manifest


def graphs_of(manifest: Manifest, variant: str) -> list[str]:
    files = manifest.variants[variant]
    return [files.padded, *([files.prefix] if files.prefix else []), *files.exits.values()]


@pytest.mark.parametrize("variant", PRECISIONS)
def test_onnx_runtime_finds_nothing_left_to_fuse(exported: Exported, tmp_path: Path, variant: str) -> None:
    if exported.manifest.traced:
        assert exported.name == "electra, traced"  # a traced graph stays unfused
        return
    for path in graphs_of(exported.manifest, variant):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
        files = exported.manifest.variants[variant]
        arrays: list[Array] = []
        if path == files.prefix and files.requantize:
            names, arrays = requantized(exported.folder / files.requantize, session_options(None))
            options.add_external_initializers(names, list(map(onnxruntime.OrtValue.ortvalue_from_numpy, arrays)))
        onnxruntime.InferenceSession(exported.folder / path, options, providers=[CPU])
        before, after = (
            Counter(node.op_type for node in onnx.load(p, load_external_data=False).graph.node if node.op_type in FUSED)
            for p in (exported.folder / path, tmp_path / "optimized.onnx")
        )
        if PRECISIONS[variant].float16:
            # The CPU has no float16 kernels of these, and spells them out; GPUs have them.
            for op in ("QuickGelu", "BiasGelu", "Gelu"):
                before.pop(op, None), after.pop(op, None)
        assert after == before, path


@pytest.mark.parametrize("variant", ["int8", "q4", "q4f16"])
def test_only_the_head_stays_unquantized(exported: Exported, variant: str) -> None:
    if exported.manifest.traced:
        return  # the tracer numbers weight names, and the head is a Gemm
    for path in graphs_of(exported.manifest, variant):
        graph = onnx.load(exported.folder / path, load_external_data=False).graph
        weights = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 2}
        left = {node.input[1] for node in graph.node if node.op_type == "MatMul"} & weights
        assert all(name.startswith((EXACT, HADAMARD)) for name in left), path


def test_browsers_have_every_operator_of_the_padded_graphs(exported: Exported) -> None:
    for variant in exported.manifest.variants.values():
        for path in (variant.padded, *variant.exits.values()):
            model = onnx.load(exported.folder / path, load_external_data=False)
            graphs = [model.graph]
            while graphs:
                for node in (graph := graphs.pop()).node:
                    assert node.op_type in ON_WASM, f"{path}: {node.name}"
                    graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
                assert graph.node


def test_scorers_on_other_devices_have_something_to_compare_with(exported: Exported) -> None:
    path = exported.folder / "device_check.json"
    if exported.tiny.family == "qwen3-embedding":
        assert not path.exists()
        return
    check = json.loads(path.read_text())
    lengths = [len(pair["token_ids"]) for pair in check["pairs"]]
    # A long prompt makes the shortest pair longer than 32 tokens, or than 128 where the tokenizer has few pieces.
    assert len(lengths) in (1, 2, 3) and lengths[-1] > 128 and (len(lengths) == 1 or lengths[-2] > 32)
    assert set(check["padded"]) == set(PRECISIONS)
    golden = {(pair.query, pair.document): pair.logits for pair in read_golden(exported.folder).scored}
    for row, pair in zip(check["padded"]["fp32"], check["pairs"], strict=True):
        expected = golden[pair["query"], pair["document"]]
        assert expected
        assert np.allclose(row, expected, atol=1e-4 * max(1, np.abs(expected).max()))
        assert len(check["deviation"]) == len(row)
