"""The comparison of ranking fidelity, as far as it needs no checkpoint and no peer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.fidelity import plots, report, scores
from benchmarks.fidelity.measures import figures, merged, spread
from benchmarks.fidelity.pytorch import HALF, REFERENCE
from benchmarks.fidelity.scores import Engine, Score, measured
from benchmarks.fidelity.subject import Subject
from benchmarks.fidelity.texts import Candidates

EXPECTED = np.array([[3, 1, 2], [0, 5, 1], [2, 0, 1]], np.float32)


def subject(queries: int) -> Subject:
    found = Subject("tiny", "words", queries)
    candidates = [Candidates(query="q", documents=("a", "b", "c"), right=i) for i in (0, 1, 1)]
    found.__dict__.update(identity="checkpoint", texts_identity="texts", candidates=candidates[:queries])
    return found


def engine(name: str = "fake", asked: list[int] | None = None, noise: float = 0.0) -> Engine:
    @contextmanager
    def start(queries: range) -> Iterator[Score]:
        def score(query: int) -> list[float]:
            if asked is not None:
                asked.append(query)
            return [float(x) for x in EXPECTED[query] + noise * np.array([0, 1, 0])]

        yield score

    return Engine(name=name, settings="none", megabytes=12.34, open=start)


def section(queries: int = 3) -> dict[str, Any]:
    rows = {}
    for name, noise in ((REFERENCE, 0.0), (HALF, 0.1), ("onnxrank int8", 1.5)):
        found = EXPECTED + np.float32(noise) * np.array([0, 1, 0], np.float32)
        rows[name] = figures(subject(3), engine(name), EXPECTED, found)
    return {
        "checkpoint": "c",
        "texts": "t",
        "queries": queries,
        "documents": 3,
        "spread": spread(EXPECTED),
        "engines": rows,
    }


def test_scores_are_kept_and_more_queries_add_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "FOLDER", tmp_path)
    asked: list[int] = []
    assert measured(subject(2), engine(asked=asked)).tolist() == EXPECTED[:2].tolist()
    assert measured(subject(3), engine(asked=asked)).tolist() == EXPECTED.tolist()
    assert measured(subject(1), engine(asked=asked)).tolist() == EXPECTED[:1].tolist()
    assert asked == [0, 1, 2]


def test_figures_of_the_reference_and_of_a_noisy_engine() -> None:
    rows = section()["engines"]
    assert rows[REFERENCE]["noise"]["mean"] == 0 and rows[REFERENCE]["ndcg_difference"]["mean"] == 0
    assert rows[HALF]["noise"]["mean"] == pytest.approx(0.1 * np.sqrt(2 / 3) / np.sqrt((2 + 14 + 2) / 3))
    # The third query's right document rises from the third place to the second.
    assert rows["onnxrank int8"]["ndcg_difference"]["mean"] == pytest.approx(100 * (1 / np.log2(3) - 1 / 2) / 3)


def test_rows_stay_while_the_scores_are_of_the_same_texts_and_queries() -> None:
    first = section()
    results = merged({}, "tiny", "words", first)
    only = {"engines": {HALF: first["engines"][HALF]}}

    def rows(added: dict[str, Any]) -> dict[str, list[str]]:
        sections = merged(results, "tiny", "words", added)["tiny"]
        return {title: list(found["engines"]) for title, found in sections.items()}

    whole = list(first["engines"])
    assert rows({**first, **only}) == {"words, 3 queries": whole}
    assert rows({**first, **only, "texts": "others"}) == {"words, 3 queries": [HALF]}
    assert rows({**section(queries=2), **only}) == {"words, 3 queries": whole, "words, 2 queries": [HALF]}


def test_tables_and_plots(tmp_path: Path) -> None:
    results = merged({}, "tiny", "words", section())
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_into(page, report.markdown(results))
    text = page.read_text()
    assert text.startswith("before") and text.endswith("after\n") and "old" not in text
    assert "### tiny on words, 3 queries" in text and "| PyTorch bf16 | 12 | 0.0" in text
    plots.draw(results, tmp_path)
    assert (tmp_path / plots.NOISE).read_bytes().startswith(b"<?xml")
    assert (tmp_path / plots.SCORES).exists()
