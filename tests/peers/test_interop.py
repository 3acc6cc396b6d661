"""Other libraries load our artifacts and compute the same scores, on tiny random checkpoints."""

# mypy: disable-error-code="import-not-found, import-untyped"

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from colbert_export.export import export_model
from numpy.typing import NDArray
from optimum.onnxruntime import ORTModelForSequenceClassification
from pylate import indexes, models, retrieve
from sentence_transformers import CrossEncoder
from transformers import AutoTokenizer

from onnxrank import LateInteraction, Reranker
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import Options
from onnxrank.progress import progress
from tests.tiny_families import TINY

LOGITS = 1e-4
TOKENS = 1e-5
# A sum of 150 similarities, in another order.
MAXSIM = 1e-3
ROOT = Path(__file__).parents[2]
PROVIDER = "CPUExecutionProvider"

ENCODERS = ["bert", "xlm-roberta", "modernbert"]
COLBERTS = ["colbert, mean", "colbert, attending"]

FOX = "The quick brown fox jumps over the lazy dog. "
# Uneven lengths; the last pair is cut.
PAIRS = [
    ("how do I sort an array", "Sort returns a sorted copy of an array along an axis."),
    ("What's a KEY?", "short"),
    ("weather", f"{FOX * 8}Tomorrow: rain, then sun."),
    ("x", ""),
    ("Which animal jumps?", FOX * 60),
]
QUERIES = ["How do I SORT an array, in Python?", "x", "Don't panic! (Numbers: 1, 2.5; 30%)  ", FOX * 12]
DOCUMENTS = [
    "Sort returns a sorted copy of an array along an axis.",
    "x",
    "DON'T PANIC! The numbers are 1, 2.5 and 30%...",
    FOX * 3,
    "The Weather: rain, then sun; wind. " * 40,
]

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    checkpoint: Path
    artifact: Path


Export = Callable[[str], Exported]


def test_the_oldest_onnx_runtime_that_the_package_allows_runs_here() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["cpu"] == [f"onnxruntime>={onnxruntime.__version__.removesuffix('.0')}"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Return a function from a name in TINY to the checkpoint and its float32 artifact."""

    @cache
    def write(name: str) -> Exported:
        folder = tmp_path_factory.mktemp("peers")
        found = Exported(checkpoint=folder / "checkpoint", artifact=folder / "artifact")
        tiny = TINY[name]
        tiny.write(found.checkpoint)
        export(
            locate(str(found.checkpoint)),
            found.artifact,
            family=tiny.family,
            options=Options(variants=("fp32",), family=tiny.options),
            force=False,
            progress=progress,
        )
        return found

    return write


def assert_close(found: Any, expected: Any, tolerance: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def assert_same_vectors(found: Sequence[Rows], expected: Sequence[Rows]) -> None:
    assert [rows.shape for rows in found] == [rows.shape for rows in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs, TOKENS)


@pytest.mark.parametrize("name", ENCODERS)
def test_optimum_gives_our_logits_for_padded_pairs(exported: Export, name: str) -> None:
    artifact = exported(name).artifact
    ours = Reranker(artifact)
    model = ORTModelForSequenceClassification.from_pretrained(
        artifact, subfolder="onnx", file_name="model.onnx", provider=PROVIDER
    )
    tokenizer = AutoTokenizer.from_pretrained(artifact)
    inputs = tokenizer(
        [list(pair) for pair in PAIRS],
        padding=True,
        truncation=True,
        max_length=ours.manifest.scoring.max_length,
        return_tensors="pt",
    )
    lengths = inputs["attention_mask"].sum(1).tolist()
    expected = ours.score(PAIRS)
    assert expected.tokens.tolist() == lengths and len(set(lengths)) == len(PAIRS)
    assert expected.truncated.tolist() == [False, False, False, False, True]
    assert np.ptp(expected.logits) > 100 * LOGITS
    assert_close(model(**inputs).logits[:, 0].numpy(), expected.logits, LOGITS)


@pytest.mark.parametrize("name", ENCODERS)
def test_sentence_transformers_onnx_backend_predicts_our_scores(exported: Export, name: str) -> None:
    """Both sides use the artifact's activation: none for "bert", a sigmoid for the others."""
    artifact = exported(name).artifact
    ours = Reranker(artifact)
    model = CrossEncoder(
        str(artifact),
        backend="onnx",
        max_length=ours.manifest.scoring.max_length,
        model_kwargs={"subfolder": "onnx", "file_name": "model.onnx", "provider": PROVIDER},
    )
    assert isinstance(model.model, ORTModelForSequenceClassification)
    assert isinstance(model.activation_fn, torch.nn.Identity if name == "bert" else torch.nn.Sigmoid)
    assert_close(model.predict(PAIRS), ours.predict(PAIRS), LOGITS)


@pytest.mark.parametrize("name", ["bert", "modernbert"])
def test_we_predict_what_sentence_transformers_predicts_of_the_checkpoint(exported: Export, name: str) -> None:
    found = exported(name)
    ours = Reranker(found.artifact)
    model = CrossEncoder(str(found.checkpoint), device="cpu", max_length=ours.manifest.scoring.max_length)
    assert_close(ours.predict(PAIRS), model.predict(PAIRS), LOGITS)


@pytest.mark.parametrize("name", COLBERTS)
@pytest.mark.parametrize(("texts", "is_query"), [(QUERIES, True), (DOCUMENTS, False)], ids=["queries", "documents"])
def test_our_token_vectors_are_pylates(exported: Export, name: str, texts: list[str], is_query: bool) -> None:
    found = exported(name)
    ours = LateInteraction(found.artifact).encode(texts, is_query=is_query)
    theirs = models.ColBERT(str(found.checkpoint), device="cpu").encode(
        texts, is_query=is_query, show_progress_bar=False
    )
    assert_same_vectors(ours, theirs)


@pytest.mark.parametrize("name", COLBERTS)
def test_pylates_voyager_index_takes_our_vectors(exported: Export, name: str, tmp_path: Path) -> None:
    model = LateInteraction(exported(name).artifact)
    index = indexes.Voyager(index_folder=str(tmp_path), index_name="peers", embedding_size=32, override=True)
    index.add_documents([str(i) for i in range(len(DOCUMENTS))], model.encode(DOCUMENTS, is_query=False))
    found = retrieve.ColBERT(index=index).retrieve(model.encode(QUERIES, is_query=True), k=1, device="cpu")
    expected = [model.rank(query, DOCUMENTS, top_k=1)[0] for query in QUERIES]
    assert [hits[0]["id"] for hits in found] == [str(hit["corpus_id"]) for hit in expected]
    assert_close([hits[0]["score"] for hits in found], [hit["score"] for hit in expected], MAXSIM)


# Warnings of PyTorch's exporter about its own code and about the arguments of LightOn's exporter.
@pytest.mark.filterwarnings("ignore:# 'dynamic_axes' is not recommended:UserWarning")
@pytest.mark.filterwarnings("ignore:# The axis name:UserWarning")
@pytest.mark.filterwarnings("ignore:from_dynamic_axes_to_dynamic_shapes is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.. is deprecated:FutureWarning")
def test_lightons_exporter_drops_all_but_the_first_projection_and_we_do_not(exported: Export, tmp_path: Path) -> None:
    """On a ColBERT with three Dense layers, GELU and residuals, pylate-onnx-export's graph gives the first Dense layer
    alone, without its activation and residual: 96 dimensions where its own config promises 32, and other cosines
    between tokens than PyLate's. Our vectors are PyLate's.
    """
    checkpoint = exported("colbert, mean").checkpoint
    # LightOn's exporter turns query expansion off, so this compares documents, which have none.
    pylate = models.ColBERT(str(checkpoint), device="cpu", do_query_expansion=False)
    expected = pylate.encode(DOCUMENTS, is_query=False, show_progress_bar=False)
    assert_same_vectors(LateInteraction(exported("colbert, mean").artifact).encode(DOCUMENTS, is_query=False), expected)

    export_model(str(checkpoint), tmp_path, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=[PROVIDER])
    for document, right in zip(DOCUMENTS, expected, strict=True):
        features = pylate.tokenize([document], is_query=False)
        (output,) = session.run(None, {name: features[name].numpy() for name in ("input_ids", "attention_mask")})
        with torch.inference_mode():
            first = pylate[1].linear(pylate[0](dict(features))["token_embeddings"])
            first = torch.nn.functional.normalize(first, dim=-1).numpy()
        assert_close(output, first, TOKENS)

        kept = pylate.skiplist_mask(features["input_ids"], pylate.skiplist)[0].numpy()
        wrong = output[0][kept]
        assert (wrong.shape[1], right.shape[1]) == (96, 32) and len(wrong) == len(right)
        assert np.abs(wrong @ wrong.T - right @ right.T).max() > 0.1
