"""Retrieve, then rerank: the index on disk, the measures, and the commands around them."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from onnxrank import Cascade, Embedder, Reranker
from onnxrank.cli.app import app
from onnxrank.cli.retrieval import open_cascade
from onnxrank.errors import ArtifactError, BackendError, InputError, OutputError
from onnxrank.quality.corpus import Entry, Query
from onnxrank.quality.measures import ROUTING, measure
from onnxrank.quality.routing import measure_cascade
from onnxrank.vector_index import KINDS, FaissIndex
from tests.exports import export_tiny, write_checkpoint
from tests.reports import recorded_progress
from tests.tiny_families import qwen3_embedding

CORPUS = [
    "numpy.sort(a, axis): Return a sorted copy of an array along the given axis.",
    "networkx.shortest_path(graph): Compute shortest paths in the graph.",
    "numpy.linalg.det(a): Compute the determinant of an array.",
    "scipy.stats.zscore(a): Compute the z score of each value.",
    "",
]
QUERY = "sort an array along an axis"


@pytest.fixture(scope="module")
def retriever_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retriever")
    export_tiny(
        write_checkpoint(folder / "checkpoint", qwen3_embedding), folder / "artifact", variants=("fp32", "int8")
    )
    return folder / "artifact"


@pytest.fixture(scope="module")
def cascade(retriever_artifact: Path, demo_artifact: Path) -> Cascade:
    made = Cascade(Embedder(retriever_artifact), Reranker(demo_artifact, variant="fp32"))
    made.index(CORPUS)
    return made


def test_retrieval_is_by_cosine_similarity(cascade: Cascade) -> None:
    found = cascade.retrieve(QUERY, top_k=99)
    documents = cascade.retriever.encode(CORPUS, is_query=False)
    expected = documents @ cascade.retriever.encode([QUERY], is_query=True)[0]
    assert [hit["corpus_id"] for hit in found] == np.argsort(-expected).tolist()
    # The index keeps 11 bits of each number.
    np.testing.assert_allclose([hit["score"] for hit in found], np.sort(expected)[::-1], atol=1e-3)


def test_control_tokens_in_texts_are_text_unless_asked(cascade: Cascade) -> None:
    encode = partial(cascade.retriever.encode, ["a<|im_end|>b"], is_query=False)
    np.testing.assert_array_equal(encode(), encode(special_tokens=False))
    assert np.abs(encode() - encode(special_tokens=True)).max() > 1e-3


def test_search_reranks_what_was_retrieved(cascade: Cascade) -> None:
    assert cascade.reranker
    hits = cascade.search(QUERY, top_k=2, retrieve=4)
    retrieved = cascade.retrieve(QUERY, top_k=4)
    ranked = cascade.reranker.rank(QUERY, [hit["text"] for hit in retrieved], top_k=2)
    assert [hit["score"] for hit in hits] == [hit["score"] for hit in ranked]
    assert all(hit["text"] == CORPUS[hit["corpus_id"]] for hit in hits)
    by_id = {hit["corpus_id"]: hit["score"] for hit in retrieved}
    assert all(hit["retrieval_score"] == by_id[hit["corpus_id"]] for hit in hits)


def test_an_index_on_disk_is_the_same_index(cascade: Cascade, retriever_artifact: Path, tmp_path: Path) -> None:
    cascade.save(tmp_path / "index")
    cascade.save(tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    again = Cascade(Embedder(retriever_artifact))
    again.load(tmp_path / "index")
    assert again.retrieve(QUERY) == cascade.retrieve(QUERY)
    again.check_corpus(CORPUS)
    with pytest.raises(InputError, match="made of another corpus"):
        again.check_corpus(CORPUS[1:])


def test_a_corpus_is_embedded_in_chunks(cascade: Cascade, monkeypatch: pytest.MonkeyPatch) -> None:
    reported = recorded_progress(monkeypatch, "onnxrank.cascade")
    monkeypatch.setattr("onnxrank.cascade.CHUNK", 2)
    chunked = Cascade(cascade.retriever)
    chunked.index(CORPUS, show_progress_bar=True)
    assert reported == {"indexing": len(CORPUS)}
    assert [hit["text"] for hit in chunked.retrieve(QUERY)] == [hit["text"] for hit in cascade.retrieve(QUERY)]


def test_an_index_that_a_crash_left_under_its_old_name_is_loaded(cascade: Cascade, tmp_path: Path) -> None:
    cascade.save(tmp_path / "index")
    (tmp_path / "index").rename(tmp_path / ".index.old")
    again = Cascade(cascade.retriever)
    again.load(tmp_path / "index")
    assert again.texts == CORPUS


def test_an_index_of_another_retriever_is_refused(cascade: Cascade, retriever_artifact: Path, tmp_path: Path) -> None:
    cascade.save(tmp_path / "index")
    other = Cascade(Embedder(retriever_artifact, variant="fp32"))
    with pytest.raises(ArtifactError, match=r"made with .*\(int8\) of other weights than this retriever, .*\(fp32\)"):
        other.load(tmp_path / "index")


def test_an_index_of_a_retriever_trained_anew_under_the_same_name_is_refused(
    cascade: Cascade, retriever_artifact: Path, tmp_path: Path
) -> None:
    cascade.save(tmp_path / "index")
    trained = Embedder(retriever_artifact)
    trained.identity = "the hash of other weights"
    with pytest.raises(ArtifactError, match="of other weights"):
        Cascade(trained).load(tmp_path / "index")


def test_a_save_that_fails_at_the_end_keeps_the_index(
    cascade: Cascade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cascade.save(tmp_path / "index")
    rename = Path.rename

    def fails_for_new(self: Path, target: Path) -> Path:
        if "partial" in self.name:
            raise PermissionError("not permitted")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fails_for_new)
        with pytest.raises(PermissionError):
            cascade.save(tmp_path / "index")
    cascade.load(tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_damaged_index_is_refused_and_the_corpus_before_stays(cascade: Cascade, tmp_path: Path) -> None:
    before = cascade.retrieve(QUERY)
    with pytest.raises(ArtifactError, match="none is not an index"):
        cascade.load(tmp_path / "none")
    cascade.save(tmp_path / "index")
    texts = (tmp_path / "index" / "texts.jsonl").read_text()
    (tmp_path / "index" / "texts.jsonl").write_text(texts + '{"id": null, "text": "another"}\n')
    with pytest.raises(ArtifactError, match="is damaged: its files disagree"):
        cascade.load(tmp_path / "index")
    (tmp_path / "index" / "vectors.faiss").write_bytes(b"x" * 10)
    with pytest.raises(ArtifactError, match=r"vectors\.faiss cannot be read"):
        cascade.load(tmp_path / "index")
    assert cascade.retrieve(QUERY) == before


def test_bad_input_is_one_sentence(cascade: Cascade, retriever_artifact: Path, tmp_path: Path) -> None:
    alone = Cascade(Embedder(retriever_artifact))
    for call in (lambda: alone.retrieve(QUERY), lambda: alone.save(tmp_path / "index")):
        with pytest.raises(InputError, match="has no corpus; call `index` or `load` first"):
            call()
    with pytest.raises(InputError, match="corpus is empty"):
        alone.index([])
    with pytest.raises(InputError, match="corpus is a single string"):
        alone.index("text")
    with pytest.raises(InputError, match="ids has 1 entries for 2 documents; give one for each"):
        alone.index(["text", "another"], ids=["a"])
    with pytest.raises(InputError, match=r"corpus\[1\] has fields"):
        alone.index(["text", {"name": "n", "description": "d"}])
    with pytest.raises(InputError, match="has no reranker"):
        alone.search(QUERY)
    (tmp_path / "full").mkdir()
    with pytest.raises(OutputError, match="exists and is not an index"):
        cascade.save(tmp_path / "full")


def fake_stage(monkeypatch: pytest.MonkeyPatch, cascade: Cascade, retrieved: list[int], scores: list[float]) -> None:
    hits = [{"corpus_id": id_, "score": 1.0 - i / 10, "text": CORPUS[id_]} for i, id_ in enumerate(retrieved)]
    monkeypatch.setattr(cascade, "retrieve", lambda query, top_k: hits)
    result = type("Result", (), {"logits": np.array(scores, np.float32)})
    monkeypatch.setattr(cascade.reranker, "score", lambda pairs: result)


def test_the_measures_are_those_of_their_definitions(cascade: Cascade, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = [Entry(id=str(i), document=text, cluster="ab" if i < 2 else None) for i, text in enumerate(CORPUS)]
    queries = [Query(text=QUERY, relevant=("0",))]
    # Retrieved: the target third, another of its cluster second; the reranker puts the cluster first, the target next.
    fake_stage(monkeypatch, cascade, [2, 1, 0], [0.0, 9.0, 5.0])
    found = measure_cascade(cascade, corpus, queries)
    log = np.log2
    ideal = 2 / log(2) + 1 / log(3)
    assert found.retrieved == pytest.approx(
        {"cluster@1": 0, "nDCG@10": (1 / log(3) + 2 / log(4)) / ideal, "ret@5": 1, "MRR@10": 1 / 3}
    )
    assert found.reranked == pytest.approx(
        {"cluster@1": 1, "nDCG@10": (1 / log(2) + 2 / log(3)) / ideal, "ret@5": 1, "MRR@10": 1 / 2}
    )
    with pytest.raises(InputError, match="names the document '9', which the corpus lacks"):
        measure_cascade(cascade, corpus, [Query(text=QUERY, relevant=("9",))])


def invoke(*arguments: object) -> Any:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    return json.loads(result.stdout)


def test_the_commands_index_search_and_evaluate(
    retriever_artifact: Path, demo_artifact: Path, cascade: Cascade, tmp_path: Path
) -> None:
    corpus, queries, index = tmp_path / "corpus.jsonl", tmp_path / "queries.jsonl", tmp_path / "index"
    lines = [json.dumps({"id": f"d{i}", "text": text}) for i, text in enumerate(CORPUS)]
    corpus.write_text("\n".join([*lines, "broken"]))
    queries.write_text(json.dumps({"query": QUERY, "relevant": "d0"}))
    models = ("--retriever", retriever_artifact, "--reranker", demo_artifact, "--variant", "fp32")
    made = ["index", index, "--retriever", retriever_artifact, "--corpus", corpus]
    with pytest.raises(InputError, match="line 6 is no JSON"):
        CliRunner().invoke(app, list(map(str, made)), catch_exceptions=False)
    assert not index.exists()
    shown = CliRunner().invoke(app, [*map(str, made), "--skip-bad"], catch_exceptions=False)
    assert "5 documents" in shown.output and "1 lines" in shown.output

    def named(hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**hit, "id": f"d{hit['corpus_id']}"} for hit in hits]

    hits = named(cascade.search(QUERY, top_k=2, retrieve=4))
    assert invoke("search", index, QUERY, *models, "--top-k", 2, "--retrieve", 4) == hits
    found = invoke("evaluate", *models, "--corpus", corpus, "--queries", queries, "--index", index, "--skip-bad")
    assert found["queries"] == 1 and set(found["retrieved"]) == set(found["reranked"]) == set(ROUTING)
    assert found["reranked"]["MRR@10"] == 1.0
    hits = named(cascade.retrieve(QUERY, top_k=2))
    assert invoke("search", index, QUERY, *models[:2], "--top-k", 2) == hits
    alone = invoke("evaluate", "--retriever", retriever_artifact, "--corpus", corpus, "--queries", queries,
                   "--skip-bad")  # fmt: skip
    assert alone["retrieved"] == found["retrieved"] and alone["reranked"] is None


def test_the_commands_open_what_the_options_say(retriever_artifact: Path, demo_artifact: Path) -> None:
    opened = open_cascade(str(retriever_artifact), "int8", str(demo_artifact), "q4", 3)
    reranker: Any = opened.reranker
    assert (opened.retriever.variant, reranker.variant) == ("int8", "q4")
    assert opened.retriever._scorer._session.cores == reranker._scorer._graph._session.cores == 3


def test_an_altered_tokenizer_is_refused(retriever_artifact: Path, demo_artifact: Path, tmp_path: Path) -> None:
    for model, source in ((Embedder, retriever_artifact), (Reranker, demo_artifact)):
        folder = shutil.copytree(source, tmp_path / model.__name__)
        with (folder / "tokenizer.json").open("a") as file:
            file.write("\n")
        with pytest.raises(ArtifactError, match=r"tokenizer\.json is not the file that was exported"):
            model(folder)


def test_embedding_reports_each_text(cascade: Cascade, monkeypatch: pytest.MonkeyPatch) -> None:
    reported = recorded_progress(monkeypatch, "onnxrank.embedder")
    cascade.retriever.encode(CORPUS, is_query=False, show_progress_bar=True)
    assert reported == {"embedding": len(CORPUS)}


def test_search_and_evaluate_show_tables(
    retriever_artifact: Path, cascade: Cascade, demo_artifact: Path, tmp_path: Path
) -> None:
    cascade.save(tmp_path / "index")
    corpus, queries = tmp_path / "corpus.jsonl", tmp_path / "queries.jsonl"
    corpus.write_text("\n".join(map(json.dumps, CORPUS)))
    queries.write_text(json.dumps({"query": QUERY, "relevant": "1"}) + "\nbroken")
    models = ("--retriever", retriever_artifact, "--reranker", demo_artifact, "--variant", "fp32")
    shown = table("search", tmp_path / "index", QUERY, *models)
    assert [row[0] for row in shown] == ["1", "2", "3", "4", "5"]
    assert [row[2] for row in shown] == [hit["text"] for hit in cascade.search(QUERY)]
    files = ("--corpus", corpus, "--queries", queries, "--skip-bad")
    with_reranker = table("evaluate", *models, *files)
    assert [row[0] for row in with_reranker] == ["retriever", "reranked"]
    assert with_reranker[1][1:] == ["1.000"] * len(ROUTING)
    assert table("evaluate", *models[:2], *files) == with_reranker[:1]
    corpus.write_text('"another text"')
    with pytest.raises(InputError, match="the index was made of another corpus"):
        table("evaluate", *models, *files, "--index", tmp_path / "index")


def table(*arguments: object) -> list[list[str]]:
    """Return the cells of each row of the table that a command shows."""
    shown = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False).output
    assert ("1 lines of" in shown) == ("--skip-bad" in arguments)
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]


def test_missing_packages_are_named(cascade: Cascade, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("faiss", "ir_measures"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendError, match=r"needs faiss, .*pip install onnxrank\[retrieval\]"):
        Cascade(cascade.retriever)
    with pytest.raises(BackendError, match=r"need ir-measures, .*pip install onnxrank\[retrieval\]"):
        measure({}, {}, [])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_index_finds_the_nearest_and_is_read_again(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    # Around 50 topics, as texts are.
    vectors = rng.standard_normal((50, 32), np.float32).repeat(40, axis=0)
    vectors += rng.standard_normal(vectors.shape, np.float32) / 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = FaissIndex(kind)
    index.start(32)
    for part in np.array_split(vectors, 3):
        index.add(part)
    index.finish()
    assert (len(index), index.dim) == (2000, 32)
    found = 0
    for query in vectors[::100]:
        exact = np.argsort(-(vectors @ query))[:10]
        scores, places = index.search(query, 10)
        found += len(set(exact) & set(places))
        np.testing.assert_allclose(scores, (vectors @ query)[places], atol=1e-3)
    assert found >= (200 if kind == "flat" else 190)
    index.write(tmp_path / "vectors")
    again = FaissIndex.read(tmp_path / "vectors")
    assert again.search(vectors[0], 10)[1].tolist() == index.search(vectors[0], 10)[1].tolist()
    assert type(index._index).__name__ == {"flat": "IndexScalarQuantizer", "hnsw": "IndexHNSWSQ"}.get(
        kind, "IndexIVFScalarQuantizer"
    )


def test_an_approximate_index_ranks_a_small_corpus_as_a_flat_one(cascade: Cascade, tmp_path: Path) -> None:
    for kind in KINDS:
        made = Cascade(cascade.retriever, index=kind)
        made.index(CORPUS)
        made.save(tmp_path / kind)
        again = Cascade(cascade.retriever)
        again.load(tmp_path / kind)
        assert again.retrieve(QUERY) == made.retrieve(QUERY) == cascade.retrieve(QUERY)
    with pytest.raises(InputError, match="index is 'tree'; give one of flat, hnsw, ivf, or an index"):
        Cascade(cascade.retriever, index="tree")  # not a kind


def test_another_engine_keeps_the_vectors(cascade: Cascade, tmp_path: Path) -> None:
    engine = FaissIndex()
    made = Cascade(cascade.retriever, index=Engine(engine))
    made.index(CORPUS, ids=list("abcde"))
    made.save(tmp_path / "index")
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == ["cascade.json", "texts.jsonl"]
    again = Cascade(cascade.retriever, index=Engine(engine))
    again.load(tmp_path / "index")
    assert again.retrieve(QUERY) == made.retrieve(QUERY)
    with pytest.raises(ArtifactError, match="has its vectors in another engine; open the cascade with `index=`"):
        Cascade(cascade.retriever).load(tmp_path / "index")
    engine.start(engine.dim)
    with pytest.raises(ArtifactError, match="its files disagree"):
        again.load(tmp_path / "index")


class Engine:
    """Hides that an index is of faiss."""

    def __init__(self, index: FaissIndex) -> None:
        self._index = index
        self.start, self.add, self.finish, self.search = index.start, index.add, index.finish, index.search

    def __len__(self) -> int:
        return len(self._index)

    @property
    def dim(self) -> int:
        return self._index.dim
