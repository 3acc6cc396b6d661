"""Scoring a batch: a bad row is marked and the others keep their scores."""

from pathlib import Path

import numpy as np
import pytest

from onnxrank import LateInteraction, Reranker
from onnxrank.errors import InputError
from onnxrank.offline.model import ModelOptions, PairModel
from onnxrank.offline.rows import CellOutcome, Columns, Outcome, Unreadable, error_of, score_rows, values_of
from tests.exports import export_tiny, write_checkpoint
from tests.tiny_families import TINY

QUERIES = ["sort an array", "shortest path", "sort an array", "mean"]
DOCUMENTS = ["sort(a): sorts an array", "shortest_path(g): paths in a graph", "det(a): determinant", "mean(a): average"]


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory, "qwen3-reranker")


def exported(factory: pytest.TempPathFactory, name: str) -> Path:
    folder = factory.mktemp(name)
    tiny = TINY[name]
    checkpoint = write_checkpoint(folder / "checkpoint", tiny.write)
    export_tiny(checkpoint, folder / "artifact", family=tiny.family, **tiny.options.given())  # type: ignore[arg-type]
    return folder / "artifact"


@pytest.fixture(scope="module")
def model(artifact: Path) -> PairModel:
    return PairModel(artifact, ModelOptions(max_length=160), threads=1)


def scores(found: list[CellOutcome]) -> list[object]:
    return [values_of(one)[0] for one in found]


def test_the_scores_are_those_of_predict(artifact: Path, model: PairModel) -> None:
    expected = Reranker(artifact, max_length=160, threads=1).predict(list(zip(QUERIES, DOCUMENTS, strict=True)))
    found = score_rows(model, QUERIES, DOCUMENTS)
    assert scores(found) == expected.tolist()
    assert all(isinstance(one, Outcome) and one.truncated is False and one.error is None for one in found)


def test_instruction_and_activation_are_the_options(artifact: Path) -> None:
    options = ModelOptions(instruction="Find recipes.", activation="identity", variant="fp32")
    expected = Reranker(artifact).predict(
        list(zip(QUERIES, DOCUMENTS, strict=True)), instruction="Find recipes.", activation="identity"
    )
    assert scores(score_rows(PairModel(artifact, options), QUERIES, DOCUMENTS)) == expected.tolist()


def test_a_list_of_documents_has_a_list_of_scores(model: PairModel) -> None:
    flat = scores(score_rows(model, ["q"] * 4, DOCUMENTS))
    (listed, empty) = score_rows(model, ["q", "q"], [DOCUMENTS, []])
    assert values_of(listed) == (flat, [False] * 4, None)
    assert values_of(empty) == ([], [], None)


def test_bad_rows_are_marked_and_the_others_scored(model: PairModel) -> None:
    good = scores(score_rows(model, QUERIES[:1], DOCUMENTS[:1]))
    found = score_rows(
        model,
        [QUERIES[0], None, QUERIES[0], "long " * 500, QUERIES[0], Unreadable(reason="line 7 is no JSON")],
        [DOCUMENTS[0], "text", {"title": "t"}, "text", ["text", 5], None],
    )
    assert scores(found)[0] == pytest.approx(good[0], abs=1e-6)
    errors = [error_of(one) for one in found]
    assert errors[0] is None
    assert errors[1] == "query is NoneType None; give a string."
    assert errors[2] and errors[2].startswith("documents[0] has fields (title), and this model reads plain texts")
    assert errors[3] and "leaves no room for the document" in errors[3]
    assert errors[4] == "documents[0] is int 5; give a string."
    assert errors[5] == "line 7 is no JSON"
    listed, cut, _ = values_of(found[4])
    assert isinstance(listed[0], float) and listed[1] is None and cut == [False, None]
    assert scores(found)[1:4] == [None] * 3


def test_cut_documents_are_reported(model: PairModel) -> None:
    (found,) = score_rows(model, ["q"], ["word " * 500])
    assert isinstance(found, Outcome) and found.truncated is True


def test_fields_go_through_the_artifacts_template(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = PairModel(exported(tmp_path_factory, "matrix-v6"), threads=1)
    fields, text = score_rows(model, ["q", "q"], [{"name": "sort", "description": "Sorts."}, "sort: Sorts."])
    assert fields == text


def test_late_interaction_scores_pairs_in_any_order(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = exported(tmp_path_factory, "colbert, mean")
    found = scores(score_rows(PairModel(folder, threads=1), QUERIES, DOCUMENTS))
    model = LateInteraction(folder, threads=1)
    by_query = {query: model.rank(query, DOCUMENTS) for query in set(QUERIES)}
    expected = [
        next(hit["score"] for hit in by_query[query] if hit["corpus_id"] == i) for i, query in enumerate(QUERIES)
    ]
    np.testing.assert_allclose(np.array(found, np.float64), expected, atol=1e-5)
    with pytest.raises(InputError, match="is a late-interaction model, which takes no max_length"):
        PairModel(folder, ModelOptions(max_length=10))


def test_columns_are_found_and_named() -> None:
    assert Columns().documents_of(["query", "document", "documents"], "it") == "document"
    assert Columns().documents_of(["query", "documents"], "it") == "documents"
    assert Columns(query="q", document="d").documents_of(["q", "d", "score"][:2], "it") == "d"
    with pytest.raises(InputError, match=r"it has no column 'document'; name the columns .*'query', 'text'"):
        Columns().documents_of(["query", "text"], "it")
    with pytest.raises(InputError, match="it already has a column 'score'; give a prefix"):
        Columns().documents_of(["query", "document", "score"], "it")
    assert Columns(prefix="new_").documents_of(["query", "document", "score"], "it") == "document"
