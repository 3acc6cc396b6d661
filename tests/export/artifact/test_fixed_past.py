"""The file with the keys and values of the prompt's fixed part: what it holds, which variants take it, and why."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from onnxrank.artifact.manifest import Manifest, StoredPast, Variant
from onnxrank.artifact.opening import Artifact, open_artifact
from onnxrank.artifact.variants import PRECISIONS
from onnxrank.engine.device import Device
from onnxrank.engine.pair_scorer import PairScorer
from onnxrank.engine.past_file import PastFile
from onnxrank.export.artifact.fixed_past import FILE, fixed_token_ids, write_past
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.families import qwen3_reranker
from onnxrank.export.options import FamilyOptions, Options
from onnxrank.progress import progress
from onnxrank.proof.tolerances import TOLERANCES
from onnxrank.quantize.rotate import rotation
from onnxrank.text.prompt import EncodedPair, PromptEncoder
from tests.exports import write_checkpoint
from tests.tiny import write_tiny
from tests.tiny_families import TINY

# Every family with a prefix graph and a fixed part, and every architecture.
FAMILIES = (
    "qwen3-reranker",
    "qwen3-reranker, classifier",
    "zerank",
    "logit score, qwen2",
    "logit score, llama",
    "mxbai-rerank",
)
DOCUMENTS = ["numpy.sort sorts an array", "numpy.mean is the average", "", "a bread of flour and water", "heap sort"]
QUERIES = ["sort an array", "bake a loaf of bread", "the average of numbers"]


def exported(checkpoint: Path, out: Path, options: Options, family: str = "qwen3-reranker") -> Manifest:
    chosen = replace(options, accept_loss=True)
    return export(locate(str(checkpoint)), out, family=family, options=chosen, force=False, progress=progress)


def stored_past(folder: Path, past: StoredPast | None) -> dict[str, Any]:
    artifact = open_artifact(folder)
    assert past and artifact.manifest.scoring.kv_cache
    return PastFile.of(artifact, past).read(artifact.manifest.scoring.kv_cache)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_pytorchs_past(name: str, tmp_path: Path) -> None:
    tiny = TINY[name]
    checkpoint = write_checkpoint(tmp_path / "checkpoint", tiny.write)
    options = Options(variants=("int8", "q4"), family=tiny.options)
    manifest = exported(checkpoint, tmp_path / "artifact", options, tiny.family)
    assert manifest.scoring.prompt
    past = manifest.variants["int8"].past
    assert past and past == manifest.variants["q4"].past
    assert past.token_ids[: len(manifest.scoring.prompt.prefix_token_ids)] == manifest.scoring.prompt.prefix_token_ids
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    with torch.inference_mode():
        layers = model.model(torch.tensor([past.token_ids]), use_cache=True).past_key_values.layers
    found = stored_past(tmp_path / "artifact", past)
    assert len(found) == 2 * len(layers)
    for i, layer in enumerate(layers):
        # Variants that round weights have their values in another basis.
        values = layer.values[0] @ torch.tensor(rotation(layer.values.shape[-1]), dtype=torch.float32)
        for part, expected in (("key", layer.keys[0]), ("value", values)):
            # float16 rounds by at most 2**-11.
            np.testing.assert_allclose(found[f"past_key_values.{i}.{part}"], expected, rtol=1e-3, atol=1e-4)


def test_variants_that_can_use_it_share_one_file(tiny_checkpoint: Path, tmp_path: Path) -> None:
    manifest = exported(tiny_checkpoint, tmp_path / "a", Options(variants=tuple(PRECISIONS)))
    for name, variant in manifest.variants.items():
        shares = name in ("int8", "q4")
        assert (variant.past is not None) == (FILE in variant.files) == shares, name
    assert {file for file in manifest.files if file.endswith(".bin")} == {FILE}
    assert "int8 and q4 on CPUs and WASM: the keys and values" in (tmp_path / "a" / "README.md").read_text()


@pytest.mark.parametrize("variants", [("int8", "q4"), ("q4", "int8")])
def test_a_variant_that_is_left_out_leaves_it_to_the_others(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variants: tuple[str, ...]
) -> None:
    strict = replace(TOLERANCES["q4"], logit_difference=0.0)
    monkeypatch.setitem(TOLERANCES, "q4", strict)
    left_out: list[str] = []
    options = Options(variants=variants, accept_loss=True)
    manifest = export(
        locate(str(tiny_checkpoint)), tmp_path / "a", family="qwen3-reranker", options=options, force=False,
        progress=progress, left_out=lambda name, reason: left_out.append(name),
    )  # fmt: skip
    assert left_out == ["q4"] and list(manifest.variants) == ["int8"]
    artifact = open_artifact(tmp_path / "a")
    artifact.fetch(*manifest.files)
    assert {path.name for path in (tmp_path / "a" / "onnx").iterdir()} == {
        Path(file).name for file in manifest.variants["int8"].files
    }


def test_full_vocabulary_graphs_have_none(tiny_checkpoint: Path, tmp_path: Path) -> None:
    manifest = exported(tiny_checkpoint, tmp_path / "a", Options(variants=("int8",), head="lm"))
    assert manifest.variants["int8"].past is None and FILE not in manifest.files


def test_a_cut_vocabulary_has_the_same_past(tmp_path: Path) -> None:
    """Under other token ids."""
    checkpoint = write_checkpoint(tmp_path / "checkpoint", TINY["mxbai-rerank"].write)
    options = Options(variants=("int8",), family=TINY["mxbai-rerank"].options)
    whole = exported(checkpoint, tmp_path / "whole", options, "mxbai-rerank").variants["int8"].past
    cut = exported(checkpoint, tmp_path / "cut", replace(options, scripts=("Latin",)), "mxbai-rerank")
    past = cut.variants["int8"].past
    assert whole and past and past.token_ids != whole.token_ids
    assert past.token_ids == fixed_token_ids(open_artifact(tmp_path / "cut"))
    assert (tmp_path / "cut" / FILE).read_bytes() == (tmp_path / "whole" / FILE).read_bytes()


@pytest.fixture(scope="module")
def outliers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of a checkpoint whose prompt has massive activations."""
    folder = tmp_path_factory.mktemp("outliers")
    options = Options(variants=("fp32", "int8", "q4"), family=FamilyOptions(max_length=600))
    exported(write_outliers(folder / "checkpoint"), folder / "artifact", options)
    return folder / "artifact"


def write_outliers(folder: Path) -> Path:
    """Write a decoder where the tokens that only the prompt's fixed part has are large in one channel, which the layers
    hardly read: 8 bits for each token then leave little of the channels that they do read."""
    write_tiny(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pairs = encoded(PromptEncoder(folder / "tokenizer.json", qwen3_reranker.prompt(tokenizer), 600))
    others = {id_ for pair in pairs for id_ in pair.query + pair.document}
    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"][sorted(set(pairs[0].instruction) - others), 0] = 20.0
    for name, tensor in tensors.items():
        if name.split(".")[-2] in ("q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"):
            tensor[:, 0] *= 0.02
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def encoded(encoder: PromptEncoder, instruction: str | None = None) -> list[EncodedPair]:
    """Return all pairs of a query and a document."""
    return [pair for query in QUERIES for pair in encoder.pairs(query, DOCUMENTS, instruction, special_tokens=False)]


def logits(artifact: Artifact, variant: Variant, instruction: str | None = None) -> NDArray[np.float32]:
    """Return the prefix graph's logits of these pairs, [pairs, 1]."""
    scoring = artifact.manifest.scoring
    assert scoring.prompt
    pairs = encoded(PromptEncoder(artifact.tokenizer, scoring.prompt, scoring.max_length), instruction)
    return PairScorer(artifact, variant, device=Device(threads=1), graph="prefix").score(pairs)


def test_int8_comes_closer_to_float32(outliers: Path) -> None:
    artifact = open_artifact(outliers)
    exact, variant = logits(artifact, artifact.variant("fp32")[1]), artifact.variant("int8")[1]
    noise, without = (
        float(np.abs(logits(artifact, it) - exact).mean()) for it in (variant, replace(variant, past=None))
    )
    assert noise < 0.85 * without


@pytest.mark.parametrize("name", ["int8", "q4"])
def test_another_instruction_is_computed_by_the_variant(outliers: Path, name: str) -> None:
    artifact = open_artifact(outliers)
    _, variant = artifact.variant(name)
    for instruction, same in (("Find the code", True), (None, False)):
        found, computed = (logits(artifact, it, instruction) for it in (variant, replace(variant, past=None)))
        assert np.isfinite(found).all()
        assert np.array_equal(found, computed) == same


def test_numbers_beyond_float16_are_not_stored(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "checkpoint")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.self_attn.v_proj.weight"] *= 1e6
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    plan = qwen3_reranker.plan(Checkpoint.open(folder), tokenizer, FamilyOptions())
    assert plan.graphs.prefix and plan.scoring.kv_cache
    assert write_past(tmp_path, plan.graphs.prefix, plan.scoring.kv_cache, (1, 2), None) is None
    assert not (tmp_path / FILE).exists()
