"""`Reranker` takes the calls that people write for sentence-transformers' CrossEncoder."""

import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas  # type: ignore[import-untyped]
import pytest
import torch
from sentence_transformers import CrossEncoder

from onnxrank import LateInteraction, Reranker
from onnxrank.cross_encoder import INSTEAD, WITHOUT_EFFECT
from onnxrank.engine.device import CPU
from onnxrank.engine.padded import PaddedGraph
from onnxrank.errors import ArtifactError, BackendError, HubError, InputError
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import bert, colbert

QUERY = "Who wrote 'To Kill a Mockingbird'?"
DOCUMENTS = [
    "'To Kill a Mockingbird' is a novel by Harper Lee published in 1960.",
    "The novel 'Moby-Dick' was written by Herman Melville and first published in 1851.",
    "Harper Lee, an American novelist, was born in 1926 in Monroeville, Alabama.",
]
PAIRS = [(QUERY, document) for document in DOCUMENTS]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("cross-encoder") / "checkpoint", bert)


@pytest.fixture(scope="module")
def artifact(checkpoint: Path) -> Path:
    export_tiny(checkpoint, checkpoint.parent / "out")
    return checkpoint.parent / "out"


@pytest.fixture(scope="module")
def theirs(checkpoint: Path) -> CrossEncoder:
    return CrossEncoder(str(checkpoint), device="cpu")


@pytest.fixture(scope="module")
def ours(artifact: Path) -> Reranker:
    return Reranker(artifact)


@pytest.mark.parametrize("method", ["__init__", "predict", "rank"])
def test_every_argument_of_theirs_is_known(method: str) -> None:
    parameters = inspect.signature(getattr(CrossEncoder, method)).parameters
    own = set(inspect.signature(getattr(Reranker, method)).parameters) | {"prompt", "activation_fn"}
    varied = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    names = {name for name, parameter in parameters.items() if parameter.kind not in varied}
    assert names - own - set(WITHOUT_EFFECT) - set(INSTEAD) <= {"inputs"}


def test_what_is_accepted_is_their_default() -> None:
    defaults: dict[str, Any] = {}
    for method in ("__init__", "predict", "rank"):
        parameters = inspect.signature(getattr(CrossEncoder, method)).parameters
        defaults |= {name: parameter.default for name, parameter in parameters.items()}
    for name, (accepted, _) in INSTEAD.items():
        assert defaults.get(name, accepted) == accepted


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.predict(PAIRS),
        lambda model: model.predict([list(pair) for pair in PAIRS]),
        lambda model: model.predict(PAIRS[0]),
        lambda model: model.predict(PAIRS, batch_size=2, convert_to_numpy=True, show_progress_bar=False),
        lambda model: model.predict(PAIRS, activation_fn=torch.nn.Identity()),
        lambda model: model.predict(PAIRS, activation_fn=torch.nn.Sigmoid(), apply_softmax=False),
        lambda model: [hit["score"] for hit in model.rank(QUERY, DOCUMENTS)],
        lambda model: [hit["score"] for hit in model.rank(QUERY, DOCUMENTS, 2)],
        lambda model: [hit["score"] for hit in model.rank(QUERY, DOCUMENTS, top_k=2, batch_size=1)],
        lambda model: [len(hit["text"]) for hit in model.rank(QUERY, DOCUMENTS, 2, True)],
        lambda model: [DOCUMENTS.index(hit["text"]) for hit in model.rank(QUERY, DOCUMENTS, return_documents=True)],
    ],
)
def test_the_same_call_gives_the_same(ours: Reranker, theirs: CrossEncoder, call: Callable[[Any], Any]) -> None:
    np.testing.assert_allclose(call(ours), call(theirs), atol=1e-5)


@pytest.mark.parametrize(
    "documents",
    [
        tuple(DOCUMENTS),
        np.array(DOCUMENTS),
        np.array(DOCUMENTS, object),
        pandas.Series(DOCUMENTS, index=[7, 5, 3]),
        (document for document in DOCUMENTS),
    ],
    ids=["tuple", "array", "object array", "column", "generator"],
)
def test_documents_come_in_any_sequence(ours: Reranker, documents: Any) -> None:
    assert ours.rank(QUERY, documents) == ours.rank(QUERY, DOCUMENTS)


def test_pairs_come_in_any_sequence(ours: Reranker) -> None:
    expected = ours.predict(PAIRS)
    for pairs in (np.array(PAIRS), pandas.DataFrame(PAIRS).to_numpy(), iter(PAIRS), tuple(PAIRS)):
        np.testing.assert_array_equal(ours.predict(pairs), expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"device": "cpu", "max_length": 64, "trust_remote_code": False}, {"max_length": 64}),
        ({"token": None, "cache_folder": "unused", "local_files_only": True, "backend": "onnx"}, {}),
        ({"num_labels": 1, "model_kwargs": None}, {}),
    ],
)
def test_their_constructor_opens(artifact: Path, arguments: dict[str, Any], expected: dict[str, int]) -> None:
    opened = Reranker(model_name_or_path=str(artifact), **arguments)
    assert opened.max_length == expected.get("max_length", Reranker(artifact).max_length)


def test_the_constructors_activation_is_for_all_calls(artifact: Path, ours: Reranker) -> None:
    logits = Reranker(artifact, activation_fn=torch.nn.Identity())
    np.testing.assert_array_equal(logits.predict(PAIRS), ours.score(PAIRS).logits)
    np.testing.assert_array_equal(
        logits.predict(PAIRS, activation="sigmoid"), ours.predict(PAIRS, activation="sigmoid")
    )


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda model: model.predict(PAIRS, convert_to_tensor=True), "convert_to_tensor is True: .* torch.from_numpy"),
        (lambda model: model.predict(PAIRS, apply_softmax=True), "apply_softmax is True: .* activation='sigmoid'"),
        (lambda model: model.predict(PAIRS, activation_fn=torch.nn.Tanh()), r"activation_fn is Tanh\(\)"),
        (lambda model: model.rank(QUERY, DOCUMENTS, prompt_name="web"), "prompt_name is 'web': give the text itself"),
        (lambda model: model.rank(QUERY, DOCUMENTS, prompt="Find"), "instruction is 'Find', and this model takes none"),
        (lambda model: model.rank(QUERY, DOCUMENTS, topk=2), "Reranker.rank takes no 'topk'; do you mean 'top_k'"),
        (lambda model: model.predict(PAIRS, colour=1), "Reranker.predict takes no 'colour'"),
        (lambda model: model.rank(QUERY, DOCUMENTS, top_k="3"), "top_k is '3'; give at least 1"),
        (lambda model: model.rank(QUERY, DOCUMENTS, top_k=True), "top_k is True; give at least 1"),
        (lambda model: model.rank(QUERY, DOCUMENTS, top_k=2.5), "top_k is 2.5; give at least 1"),
    ],
)
def test_what_has_no_meaning_here_names_the_way(ours: Reranker, call: Callable[[Reranker], Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        call(ours)


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"trust_remote_code": True}, InputError, "trust_remote_code is True: a checkpoint's own code never runs here"),
        ({"num_labels": 3}, InputError, "num_labels is 3: the model's head is fixed"),
        ({"threads": "2"}, InputError, "threads is '2'; give 1 to"),
        ({"threads": 1000}, InputError, "threads is 1000; give 1 to"),
        ({"max_length": "64"}, InputError, "max_length is '64'; give"),
        ({"device": "mps"}, InputError, "device is 'mps'; give 'cpu', 'cuda'"),
        ({"device": "cuda:1"}, BackendError, "'CUDAExecutionProvider' is not in this ONNX Runtime"),
        ({"device": "cpu", "providers": [CPU]}, InputError, "give one of the two"),
        ({"providers": CPU}, InputError, "providers is 'CPUExecutionProvider'; give a list"),
        ({"providers": [7]}, InputError, "providers has 7; give a name"),
        ({"variant": "int-8"}, ArtifactError, r"no variant 'int-8'; give one of fp32\.$"),
        ({"variant": "q4"}, ArtifactError, "no variant 'q4'; give one of fp32, or export it with"),
        ({"modelname": "x"}, InputError, "Reranker takes no 'modelname'"),
    ],
)
def test_the_constructor_says_what_is_wrong(
    artifact: Path, arguments: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        Reranker(artifact, **arguments)


def test_a_source_is_needed() -> None:
    with pytest.raises(InputError, match="source is missing; give the folder"):
        Reranker()


def test_a_folder_that_is_not_there_is_said_to_be() -> None:
    with pytest.raises(HubError, match=r"there is no folder artifacts/absent here, .* local_files_only forbids"):
        Reranker("artifacts/absent", local_files_only=True)


def test_a_query_that_leaves_no_room_for_documents_is_refused(demo_artifact: Path) -> None:
    reranker = Reranker(demo_artifact, max_length=200)
    with pytest.raises(InputError, match=r"the query 'word word .* leaves no room for the document: .* has 200 tokens"):
        reranker.rank("word " * 500, ["a", "b"])


def test_a_closed_model_is_free_and_loads_again(artifact: Path) -> None:
    with Reranker(artifact) as reranker:
        before = reranker.predict(PAIRS)
        graph = reranker._scorer._graph
        assert isinstance(graph, PaddedGraph)
        runners = graph._session._all_cores, graph._session._one_core
        assert any(runner.loaded for runner in runners)
    assert not any(runner.loaded for runner in runners)
    np.testing.assert_array_equal(reranker.predict(PAIRS), before)
    reranker.close()
    reranker.close()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reranker)).predict(PAIRS), before)


def test_models_tell_what_they_are(artifact: Path, tmp_path: Path) -> None:
    assert repr(Reranker(artifact)) == "Reranker('checkpoint', variant='fp32', max_length=640)"
    tokens = write_checkpoint(tmp_path / "colbert", colbert)
    export_tiny(tokens, tmp_path / "out", masked_row="zero")
    with LateInteraction(tmp_path / "out", device="cpu") as model:
        assert repr(model) == "LateInteraction('colbert', variant='fp32')"
        assert model.rank(QUERY, DOCUMENTS)
