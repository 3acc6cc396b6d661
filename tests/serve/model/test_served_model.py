"""Served models of every kind score as `Reranker`, `LateInteraction` and `Embedder` do."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxrank import Embedder, LateInteraction, Reranker
from onnxrank.engine.maxsim import maxsim
from onnxrank.errors import ArtifactError, InputError
from onnxrank.serve.model.served_model import ServedModel
from onnxrank.serve.requests import EmbedRequest, LongDocuments, ScoreOutcome, ScoreRequest, TruncationSide
from onnxrank.serve.scheduling.limits import Limits
from onnxrank.serve.scheduling.scheduler import Scheduler
from tests.serve.artifacts import EMBEDDER, LATE, RERANKERS, export_served

QUERY = "the capital of China"
WORDS = "Beijing is the capital of China, 北京是首都 \U0001f331, and Käse is made of milk. "
# The last two are longer than any of the tiny models reads.
DOCUMENTS = (
    "",
    "a",
    "Beijing",
    WORDS,
    "Bread is baked from flour.",
    WORDS * 7,
    "Beijing",
    WORDS * 30,
    WORDS * 45 + "!",
)
LONG = (7, 8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    names = [*RERANKERS.values(), LATE, EMBEDDER]
    return {name: export_served(name, tmp_path_factory.mktemp("served")) for name in names}


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, ServedModel]:
    """The name in the tests to the model, opened on two cores."""
    return {name: ServedModel(folder, name=name, threads=2) for name, folder in folders.items()}


def ask(models: dict[str, ServedModel], *requests: tuple[str, ScoreRequest | EmbedRequest], **limits: Any) -> list[Any]:
    """Return the outcomes of requests that come at the same time; an error instead of one that failed."""

    async def answers() -> list[Any]:
        scheduler = Scheduler(models, Limits(**limits))
        await scheduler.start()
        calls = [
            scheduler.embed(name, request) if isinstance(request, EmbedRequest) else scheduler.score(name, request)
            for name, request in requests
        ]
        try:
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await scheduler.drain(60)

    return asyncio.run(answers())


def score(model: ServedModel, documents: Sequence[str] = DOCUMENTS, query: str = QUERY, **options: Any) -> ScoreOutcome:
    request = ScoreRequest(pairs=tuple((query, document) for document in documents), **options)
    (outcome,) = ask({model.name: model}, (model.name, request))
    if isinstance(outcome, BaseException):
        raise outcome
    assert isinstance(outcome, ScoreOutcome)
    return outcome


@pytest.mark.parametrize("name", RERANKERS.values())
def test_rerankers_score_as_reranker(models: dict[str, ServedModel], folders: dict[str, Path], name: str) -> None:
    model = models[name]
    expected = Reranker(folders[name]).score([(QUERY, document) for document in DOCUMENTS])
    assert model.kind == "reranker"
    for count in (1, 2, len(DOCUMENTS)):
        outcome = score(model, DOCUMENTS[-count:])
        np.testing.assert_allclose(outcome.logits, expected.logits[-count:], atol=1e-6)
        np.testing.assert_allclose(outcome.scores, expected.scores[-count:], atol=1e-6)
        assert outcome.truncated == tuple(i - len(DOCUMENTS) + count for i in LONG if i >= len(DOCUMENTS) - count)
        assert outcome.tokens == expected.tokens[-count:].sum()
        assert not outcome.windows and not outcome.errors


def test_late_interaction_scores_as_rank(models: dict[str, ServedModel], folders: dict[str, Path]) -> None:
    hits = LateInteraction(folders[LATE]).rank(QUERY, DOCUMENTS)
    expected = {hit["corpus_id"]: hit["score"] for hit in hits}
    outcome = score(models[LATE])
    assert models[LATE].kind == "late-interaction"
    np.testing.assert_allclose(outcome.logits, [expected[i] for i in range(len(DOCUMENTS))], rtol=1e-6)
    np.testing.assert_array_equal(outcome.scores, outcome.logits)
    assert outcome.truncated == tuple(sorted(hit["corpus_id"] for hit in hits if hit["truncated"]))


@pytest.mark.parametrize("is_query", [True, False])
def test_embedders_embed_as_embedder(models: dict[str, ServedModel], folders: dict[str, Path], is_query: bool) -> None:
    model = models[EMBEDDER]
    (outcome,) = ask({"e": model}, ("e", EmbedRequest(texts=DOCUMENTS, is_query=is_query)))
    expected = Embedder(folders[EMBEDDER]).encode(DOCUMENTS, is_query=is_query)
    np.testing.assert_allclose(outcome.vectors, expected, atol=1e-6)
    assert outcome.truncated == LONG and outcome.tokens > 600
    with pytest.raises(InputError, match="embeds texts and scores no pairs"):
        score(model)
    (refused,) = ask({LATE: models[LATE]}, (LATE, EmbedRequest(texts=("a",))))
    assert "scores pairs and embeds no texts" in str(refused)


@pytest.mark.parametrize("name", [*RERANKERS.values(), LATE])
def test_a_long_document_keeps_its_start_or_its_end(models: dict[str, ServedModel], name: str) -> None:
    model = models[name]
    start, end = "the beginning ", " the ending"
    long = (start + WORDS * 40, start + WORDS * 60, WORDS * 60 + end, WORDS * 40 + end)
    cut_right = score(model, long)
    cut_left = score(model, long, truncation_side="left")
    np.testing.assert_allclose(cut_right.logits[0], cut_right.logits[1], atol=1e-5)
    assert abs(cut_right.logits[1] - cut_right.logits[2]) > 1e-4
    np.testing.assert_allclose(cut_left.logits[2], cut_left.logits[3], atol=1e-5)
    assert abs(cut_left.logits[1] - cut_left.logits[2]) > 1e-4
    assert cut_right.truncated == cut_left.truncated == (0, 1, 2, 3)


@pytest.mark.parametrize("name", [*RERANKERS.values(), LATE])
def test_short_documents_are_the_same_however_long_ones_are_treated(models: dict[str, ServedModel], name: str) -> None:
    short = DOCUMENTS[: LONG[0]]
    expected = score(models[name], short)
    ways: tuple[LongDocuments, ...] = ("truncate", "chunk", "error")
    sides: tuple[TruncationSide, ...] = ("left", "right")
    for way in ways:
        for side in sides:
            outcome = score(models[name], short, long_documents=way, truncation_side=side, max_tokens_per_doc=4000)
            np.testing.assert_allclose(outcome.logits, expected.logits, atol=1e-6)
            assert replace(outcome, logits=expected.logits, scores=expected.scores, timing=expected.timing) == expected


@pytest.mark.parametrize("name", [*RERANKERS.values(), LATE])
def test_the_best_window_gives_a_long_documents_score(models: dict[str, ServedModel], name: str) -> None:
    model = models[name]
    outcome = score(model, long_documents="chunk")
    assert tuple(outcome.windows) == LONG and not outcome.truncated
    work = read(model, ScoreRequest(pairs=((QUERY, DOCUMENTS[LONG[0]]),), long_documents="chunk"))
    results = [float(result) for result in model.run(work.units)]
    best = max(range(len(results)), key=results.__getitem__)
    np.testing.assert_allclose(outcome.logits[LONG[0]], results[best], atol=1e-6)
    assert outcome.windows[LONG[0]] == work.units[best].window
    for item in LONG:
        window = outcome.windows[item]
        assert 1 <= window.number <= window.count > 1
        assert 0 <= window.start < window.end <= len(DOCUMENTS[item])


def test_a_window_scores_as_its_text(models: dict[str, ServedModel]) -> None:
    """Where cutting at a space gives the same tokens as encoding the slice."""
    (name, *_) = RERANKERS.values()
    text = "\n".join("ab" for _ in range(900))
    outcome = score(models[name], [text], long_documents="chunk")
    window = outcome.windows[0]
    alone = score(models[name], [text[window.start : window.end]])
    np.testing.assert_allclose(outcome.logits, alone.logits, atol=1e-5)


def read(model: ServedModel, request: ScoreRequest) -> Any:
    reading = model.read_scores(request)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("name", [*RERANKERS.values(), LATE])
def test_long_documents_can_be_an_error(models: dict[str, ServedModel], name: str) -> None:
    with pytest.raises(InputError, match=r"documents\[7\] has \d+ tokens, and \d+ of them can be read; shorten it, or"):
        score(models[name], long_documents="error")
    outcome = score(models[name], long_documents="error", partial=True)
    assert tuple(outcome.errors) == LONG
    assert np.isnan(outcome.logits).nonzero()[0].tolist() == list(LONG)
    np.testing.assert_allclose(outcome.logits[:7], score(models[name], DOCUMENTS[:7]).logits, atol=1e-6)


@pytest.mark.parametrize("name", [*RERANKERS.values(), LATE])
def test_a_documents_own_tokens_can_be_limited(models: dict[str, ServedModel], name: str) -> None:
    full = score(models[name], DOCUMENTS[3:6])
    outcome = score(models[name], DOCUMENTS[3:6], max_tokens_per_doc=5)
    assert outcome.truncated == (0, 1, 2) and outcome.tokens < full.tokens
    left = score(models[name], DOCUMENTS[3:6], max_tokens_per_doc=5, truncation_side="left")
    assert left.tokens == outcome.tokens and abs(left.logits - outcome.logits).max() > 1e-4
    windows = score(models[name], DOCUMENTS[-1:], max_tokens_per_doc=700, long_documents="chunk")
    assert windows.windows[0].count < score(models[name], DOCUMENTS[-1:], long_documents="chunk").windows[0].count
    assert windows.truncated == (0,)
    with pytest.raises(InputError, match="max_tokens_per_doc is 0; give at least 1"):
        score(models[name], max_tokens_per_doc=0)


@pytest.mark.parametrize("way", ["truncate", "chunk", "error"])
def test_a_query_that_leaves_no_room_is_an_error(models: dict[str, ServedModel], way: LongDocuments) -> None:
    for name in (RERANKERS["behind prefixes"], RERANKERS["encoded whole"]):
        for side in ("left", "right"):
            with pytest.raises(InputError, match=r"the query '.* leaves no room for the document: the prompt has 600"):
                score(models[name], query=WORDS * 60, long_documents=way, truncation_side=side)


def test_bad_texts_are_errors(models: dict[str, ServedModel]) -> None:
    model = models[RERANKERS["longest first"]]
    bad = ("a", "\ud800", "b")
    with pytest.raises(InputError, match=r"documents\[1\] holds '.*', which is no character"):
        score(model, bad)
    outcome = score(model, bad, partial=True)
    assert list(outcome.errors) == [1] and "no character" in outcome.errors[1]
    np.testing.assert_allclose(outcome.logits[[0, 2]], score(model, ("a", "b")).logits, atol=1e-6)
    with pytest.raises(InputError, match=r"the query holds '.*', which is no character"):
        score(model, query=bad[1])
    with pytest.raises(InputError, match="this model takes none"):
        score(model, instruction="Find code.")


def test_instructions_are_the_requests(models: dict[str, ServedModel], folders: dict[str, Path]) -> None:
    name = RERANKERS["behind prefixes"]
    pairs = [(QUERY, document) for document in DOCUMENTS]
    expected = Reranker(folders[name]).score(pairs, instruction="Find bread.").logits
    np.testing.assert_allclose(score(models[name], instruction="Find bread.").logits, expected, atol=1e-6)


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_many_requests_at_a_time_get_their_own_scores(
    models: dict[str, ServedModel], folders: dict[str, Path], cache_bytes: int
) -> None:
    queries = (QUERY, "bread", "what is gravity?", "")
    late = LateInteraction(folders[LATE])
    table: dict[str, dict[tuple[str, str], float]] = {LATE: {}}
    documents = DOCUMENTS[1:]  # late interaction finds no token in an empty text
    for query in queries:
        vectors = late.encode([query], is_query=True)[0]
        found = maxsim(vectors, late.encode(documents, is_query=False))
        table[LATE].update(zip([(query, document) for document in documents], found.tolist(), strict=True))
    for name in RERANKERS.values():
        pairs = [(query, document) for query in queries for document in documents]
        singles = Reranker(folders[name])
        table[name] = {pair: float(singles.predict(pair)) for pair in pairs}
    rng = np.random.default_rng(0)
    requests = []
    for i in range(64):
        name = list(table)[i % len(table)]
        pairs = list(table[name])
        chosen = rng.choice(len(pairs), int(rng.integers(1, 40)))
        requests.append((name, ScoreRequest(pairs=tuple(pairs[j] for j in chosen))))
    served = {name: models[name] for name in table}
    for (name, request), outcome in zip(requests, ask(served, *requests, cache_bytes=cache_bytes), strict=True):
        expected = [table[name][pair] for pair in request.pairs]
        np.testing.assert_allclose(outcome.scores, expected, rtol=2e-6, atol=2e-6)


def test_an_artifact_that_scores_otherwise_here_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in (RERANKERS["longest first"], LATE, EMBEDDER):
        model = ServedModel(folders[name], name=name)
        model.check()
        model._model.run = lambda units, run=model._model.run: [1.5 * result for result in run(units)]  # type: ignore[method-assign]
        with pytest.raises(ArtifactError, match="does not score here as it did at its export: a logit differs by"):
            model.check()
